import { useEffect, useRef, useState } from "preact/hooks";
import { isAbort, serverNow } from "../api/client";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { passes } from "../model/nearby";
import { everything, filterParams, momentOf } from "../model/query";
import { isHole, type Row } from "../model/row";
import { Close, Down } from "./icons";

/** Where the event is in the list: the ones above and below, and the way there if it is not in the list. */
export function Steps({ app }: { app: App }) {
  useModels(app.feed, app.settings);
  const at = useIndex(app, app.selectedKey);
  const hasNewer = at >= 0 && rowFrom(app, at, 1);
  const hasOlder = at >= 0 && rowFrom(app, at, -1);
  const newestFirst = app.settings.order === "newest";
  const step = (down: boolean) => app.step(down === newestFirst ? -1 : 1);
  return (
    <div class="steps">
      <button type="button" class="up" aria-label="Event above" title="Event above (k)" disabled={newestFirst ? !hasNewer : !hasOlder} onClick={() => step(false)}><Down /></button>
      <button type="button" aria-label="Event below" title="Event below (j)" disabled={newestFirst ? !hasOlder : !hasNewer} onClick={() => step(true)}><Down /></button>
      <button type="button" aria-label="Close the details" title="Close (Esc)" onClick={() => app.closeDrawer()}><Close /></button>
    </div>
  );
}

/** Where an event is among the rows of the list; -1 if it is not there. */
function useIndex(app: App, key: string): number {
  const { items, oldEnd } = app.feed.rows;
  const last = useRef(0); // counted from the first row there ever was, which stays as rows are added
  const near = last.current + oldEnd;
  const at = items[near]?.key === key ? near : items.findIndex((item) => item.key === key);
  if (at >= 0) last.current = at - oldEnd;
  return at;
}

/** Whether there is a row on this side of one, beyond holes. */
function rowFrom(app: App, at: number, by: 1 | -1): boolean {
  for (let i = at + by; ; i += by) {
    const item = app.feed.items[i];
    if (!item || !isHole(item)) return item !== undefined;
  }
}

/** The way to the row of the event, where it is not in what the list has loaded. */
export function ShowInList({ app, row }: { app: App; row: Row }) {
  useModels(app.feed);
  const [state, setState] = useState<"" | "asking" | "hidden" | "failed">("");
  const { feed, query } = app;
  const at = useIndex(app, row.key);
  useEffect(() => setState(""), [row.key, query]);
  const [asking, setAsking] = useState<AbortController | null>(null);
  useEffect(() => () => asking?.abort(), [asking, row.key, query]);

  if (feed.phase === "loading" || at >= 0) return null;
  const show = async () => {
    const now = serverNow();
    const since = momentOf(query.since, now);
    const until = momentOf(query.until, now);
    if (row.at < since || row.at > until) {
      setState("hidden");
      return;
    }
    const stop = new AbortController();
    setAsking(stop);
    setState("asking");
    try {
      if (await passes(row, filterParams(query), stop.signal)) void feed.jump(row.at);
      else setState("hidden");
    } catch (error) {
      if (!isAbort(error)) setState("failed");
    }
  };
  if (state === "hidden") {
    return (
      <p class="in-list" role="status">
        The filter or the time range hides this event.{" "}
        <button type="button" class="link" onClick={() => {
          app.setQuery(everything);
          void feed.jump(row.at);
        }}>Show all events at its time</button>
      </p>
    );
  }
  return (
    <p class="in-list">
      {state === "failed" ? "The server did not answer. " : "Not in what the list has loaded. "}
      <button type="button" class="link" disabled={state === "asking"} onClick={() => void show()}>Show in the list</button>
    </p>
  );
}
