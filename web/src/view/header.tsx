import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { serverNow } from "../api/client";
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
      <Pills app={app} />
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

/** More vCenters than so many share a pill. */
const fewVCenters = 4;

/** How the vCenters are: each in a pill, or where they are many, all in one. */
function Pills({ app }: { app: App }) {
  const all = app.vcenters.value ?? [];
  const { utc } = app.settings;
  return (
    <div class="pills" role="group" aria-label="vCenters">
      {all.length > fewVCenters ? (
        <Pill label="vCenters" words={sumWords(all)} tone={worstOf(all)}>
          <ul class="many">
            {[...all].sort((a, b) => tones.indexOf(stateOf(b).tone) - tones.indexOf(stateOf(a).tone)).map((v) => (
              <li key={v.name}>
                <details>
                  <summary><Dot tone={stateOf(v).tone} />{wordsOf(v)}</summary>
                  <Facts vcenter={v} utc={utc} />
                </details>
              </li>
            ))}
          </ul>
        </Pill>
      ) : (
        all.map((v) => <Pill key={v.name} label={`vCenter ${v.name}`} words={wordsOf(v)} tone={stateOf(v).tone} title={v.url}><Facts vcenter={v} utc={utc} /></Pill>)
      )}
    </div>
  );
}

/** The worse, the later. */
const tones = ["neutral", "good", "warning", "bad"];

function worstOf(all: VCenter[]): string {
  return tones[Math.max(0, ...all.map((v) => tones.indexOf(stateOf(v).tone)))] ?? "neutral";
}

function stateOf(v: VCenter): { word: string; tone: string } {
  return states[v.state] ?? { word: v.state, tone: "neutral" };
}

function rateWords(rate: number): string {
  return rate < 0.05 ? "" : `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))} ev/s`;
}

/** One vCenter in a line. */
function wordsOf(v: VCenter): string {
  const words = [v.name, v.apiVersion && shortVersion(v.apiVersion)];
  if (v.state === "collecting") words.push(rateWords(v.rate), v.lag === null ? "" : `lag ${span(v.lag * 1000)}`);
  else words.push(stateOf(v).word);
  return words.filter(Boolean).join(" · ");
}

/** All vCenters in a line: 50 vCenters · 48 collecting · 2 failing · 812 ev/s. */
function sumWords(all: VCenter[]): string {
  const of = new Map<string, number>();
  for (const { state } of all) of.set(state, (of.get(state) ?? 0) + 1);
  const rate = all.reduce((sum, v) => sum + v.rate, 0);
  return [`${all.length} vCenters`, ...[...of].map(([state, n]) => `${n} ${state}`), rateWords(rate)].filter(Boolean).join(" · ");
}

function Dot({ tone }: { tone: string }) {
  return <span class={`dot ${tone}`} aria-hidden="true" />;
}

/** A few words, and more about them on a click. */
function Pill({ label, words, tone, title, children }: { label: string; words: string; tone: string; title?: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <div class="pill-place">
      <button type="button" class="pill" aria-expanded={open} title={title ? `${words}\n${title}` : words} onClick={() => setOpen(!open)}>
        <Dot tone={tone} />
        <span class="words">{words}</span>
      </button>
      {open && <Popover label={label} onClose={() => setOpen(false)}>{children}</Popover>}
    </div>
  );
}

/** All about a vCenter. */
function Facts({ vcenter: v, utc }: { vcenter: VCenter; utc: boolean }) {
  const ago = (iso: string) => span(serverNow() - Date.parse(iso));
  const at = (iso: string | null) => (iso ? `${time(Date.parse(iso), utc)} (${ago(iso)} ago)` : "never");
  return (
    <dl class="facts">
      <dt>State</dt>
      <dd>{stateOf(v).word}{v.since && `, for ${ago(v.since)}`}</dd>
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
  const refused = feed.problem !== null && !feed.problem.passes && feed.link === null;
  if (feed.phase === "failed" || refused) return { text: "Not readable", tone: "bad" };
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
      <Dot tone={tone} />
      <span class="words">{text}</span>
    </div>
  );
}
