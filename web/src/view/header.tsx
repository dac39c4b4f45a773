import { useState } from "preact/hooks";
import type { VCenter } from "../api/types";
import { count, span, time } from "../format";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { isHistorical } from "../model/query";
import { Moon, Sun } from "./icons";
import { Popover } from "./popover";
import { useClock } from "./clock";

export function Header({ app }: { app: App }) {
  useModels(app, app.vcenters, app.feed, app.settings);
  const { settings } = app;
  const other = settings.theme === "dark" ? "light" : "dark";
  return (
    <header class="header">
      <h1>vSphere events</h1>
      <div class="pills" role="group" aria-label="vCenters">
        {app.vcenters.value?.map((v) => <Pill key={v.name} vcenter={v} utc={settings.utc} />)}
      </div>
      <StreamState app={app} />
      {app.server?.signedIn && (
        <form method="post" action="/signout">
          <button type="submit" title={`Signed in as ${app.server.user ?? "somebody"}`}>Sign out</button>
        </form>
      )}
      <a class="button" href="/docs">API</a>
      <button type="button" aria-label={`Switch to the ${other} theme`} title={`Switch to the ${other} theme`} onClick={() => settings.setTheme(other)}>
        {other === "light" ? <Sun /> : <Moon />}
      </button>
      <button type="button" aria-label="Keys and help" title="Keys and help (?)" onClick={() => app.showHelp(true)}>?</button>
    </header>
  );
}

const states: Record<VCenter["state"], { word: string; tone: string }> = {
  connecting: { word: "connecting", tone: "warning" },
  collecting: { word: "collecting", tone: "good" },
  silent: { word: "silent: it has events that it does not give", tone: "warning" },
  failing: { word: "not readable, trying again", tone: "bad" },
  refused: { word: "refuses the credentials", tone: "bad" },
  standby: { word: "standby", tone: "neutral" },
};

/** One vCenter in a word, and all about it on a click. */
function Pill({ vcenter: v, utc }: { vcenter: VCenter; utc: boolean }) {
  const [open, setOpen] = useState(false);
  const state = states[v.state] ?? { word: v.state, tone: "neutral" };
  const words = [v.name, v.apiVersion && shortVersion(v.apiVersion)];
  if (v.state === "collecting") {
    if (v.rate >= 0.05) words.push(`${v.rate < 10 ? v.rate.toFixed(1) : count(Math.round(v.rate))} ev/s`);
    if (v.lag !== null) words.push(`lag ${span(v.lag * 1000)}`);
  } else {
    words.push(state.word);
  }
  const at = (iso: string | null) => (iso ? `${time(Date.parse(iso), utc)} (${span(Date.now() - Date.parse(iso))} ago)` : "never");
  return (
    <div class="pill-place">
      <button type="button" class="pill" aria-expanded={open} title={v.url} onClick={() => setOpen(!open)}>
        <span class={`dot ${state.tone}`} aria-hidden="true" />
        {words.filter(Boolean).join(" · ")}
      </button>
      {open && (
        <Popover label={`vCenter ${v.name}`} onClose={() => setOpen(false)}>
          <dl class="facts">
            <dt>State</dt>
            <dd>{state.word}{v.since && `, for ${span(Date.now() - Date.parse(v.since))}`}</dd>
            <dt>Address</dt>
            <dd>{v.url}</dd>
            <dt>Product</dt>
            <dd>{v.product || "not known yet"}</dd>
            <dt>Last poll</dt>
            <dd>{at(v.lastPoll)}</dd>
            <dt>Last event</dt>
            <dd>{at(v.lastEvent)}</dd>
            <dt>Events kept</dt>
            <dd>{count(v.log.events)}</dd>
            <dt>Key head-room</dt>
            <dd>{v.keyHeadroom === null ? "not known yet" : count(v.keyHeadroom)}</dd>
            <dt>Interruptions</dt>
            <dd>{count(v.reconnects)}{v.gaps > 0 && `; ${count(v.gaps)} times events may have been lost`}</dd>
            <dt>Last error</dt>
            <dd>{v.lastError ? `${v.lastError.message} (${at(v.lastError.at)})` : "none"}</dd>
            {v.collectedBy && <dt>Collected by</dt>}
            {v.collectedBy && <dd>{v.collectedBy}</dd>}
          </dl>
        </Popover>
      )}
    </div>
  );
}

/** 8.0.3.0 is 8.0.3. */
function shortVersion(version: string): string {
  return version.split(".").slice(0, 3).join(".");
}

/** How the list gets its events, in words. */
export function streamWords(app: App, now: number): { text: string; tone: string } {
  const { feed } = app;
  if (app.signedOut) return { text: "Signed out", tone: "bad" };
  if (feed.phase === "failed") return { text: "Not readable", tone: "bad" };
  if (feed.link?.is === "lost") {
    const s = Math.max(0, Math.ceil((feed.link.retryAt - now) / 1000));
    return { text: s > 0 ? `Reconnecting in ${s} s` : "Reconnecting", tone: "bad" };
  }
  if (isHistorical(app.query) || feed.hasNewer) return { text: "Historical", tone: "neutral" };
  if (feed.paused) return { text: feed.link?.is === "open" ? "Paused · connected" : "Paused", tone: "warning" };
  if (feed.link?.is !== "open") return { text: "Connecting", tone: "warning" };
  if (feed.still) return { text: "Live · held while you point", tone: "good" };
  return { text: "Live", tone: "good" };
}

function StreamState({ app }: { app: App }) {
  const now = useClock(app.feed.link?.is === "lost" ? 250 : 0);
  const { text, tone } = streamWords(app, now);
  if (app.signedOut) return <button type="button" class="primary" onClick={() => app.askToSignIn(true)}>Signed out: sign in</button>;
  return (
    <div class="stream-state" role="status" aria-live="off">
      <span class={`dot ${tone}`} aria-hidden="true" />
      <span class="words">{text}</span>
    </div>
  );
}
