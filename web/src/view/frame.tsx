import { useEffect } from "preact/hooks";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { Banner } from "./banner";
import { Drawer } from "./drawer";
import { Facets } from "./facets";
import { Header } from "./header";
import { Help } from "./help";
import { Histogram } from "./histogram";
import { keysOf } from "./keys";
import { List } from "./list";
import { QueryBar } from "./querybar";
import { SignIn } from "./signin";
import { StatusBar } from "./statusbar";

/** The page: what is where. */
export function Frame({ app }: { app: App }) {
  useModels(app);
  useEffect(() => {
    const keys = keysOf(app);
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  }, [app]);
  const open = app.selected?.open ?? false;
  return (
    <div class={open ? "frame with-drawer" : "frame"}>
      <Header app={app} />
      <QueryBar app={app} />
      <Histogram app={app} />
      <Banner app={app} />
      <div class="body">
        <Facets app={app} />
        <List app={app} />
        {open && <Drawer app={app} />}
      </div>
      <StatusBar app={app} />
      {app.help && <Help app={app} />}
      <SignIn app={app} />
      <Notes app={app} />
    </div>
  );
}

/** Words that go away by themselves, which screen readers say too. */
function Notes({ app }: { app: App }) {
  const { note } = app;
  useEffect(() => {
    if (!note) return;
    const timer = setTimeout(() => {
      if (app.note === note) app.hush();
    }, 4_000);
    return () => clearTimeout(timer);
  }, [app, note]);
  return (
    <div class="notes" role="status" aria-live="polite">
      {note && <span key={note.n}>{note.text}</span>}
    </div>
  );
}
