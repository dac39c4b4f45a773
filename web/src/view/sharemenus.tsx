import { useEffect, useRef, useState } from "preact/hooks";
import { isAbort, problemOf, serverNow } from "../api/client";
import { count } from "../format";
import type { App } from "../model/app";
import { waysOf } from "../model/copyas";
import { allAddress, csvOf, fileName, newestEvents, save } from "../model/export";
import { useModels } from "../model/model";
import { filterParams, parseQuery } from "../model/query";
import { isHole } from "../model/row";
import { Copy } from "./icons";
import { Menu } from "./menu";

/** Queries that somebody has given a name in the configuration. */
export function ViewsMenu({ app }: { app: App }) {
  if (app.views.length === 0) return null;
  const now = filterParams(app.query).toString();
  const views = app.views.map((v) => ({ name: v.name, query: parseQuery(new URLSearchParams(v.query)).query }));
  return (
    <Menu label="Views" title="Saved filters">
      {(close) => (
        <div class="choices">
          {views.map(({ name, query }) => (
            <button
              key={name} type="button" class="choice" aria-pressed={filterParams(query).toString() === now}
              onClick={() => {
                close();
                const { since, until } = query.since || query.until ? query : app.query;
                if (query.since || query.until) app.zoomed = [];
                app.setQuery({ ...query, since, until });
              }}
            >
              {name}
            </button>
          ))}
        </div>
      )}
    </Menu>
  );
}

/** The same events for other programs. */
export function CopyMenu({ app }: { app: App }) {
  return <Menu label="Copy as" title="Commands that get the same events">{() => <Ways app={app} />}</Menu>;
}

function Ways({ app }: { app: App }) {
  const [chosen, setChosen] = useState(0);
  const ways = waysOf(app.query, window.location.origin, serverNow());
  const way = ways[chosen] ?? ways[0];
  if (!way) return null;
  return (
    <div class="ways">
      <div class="tabs" role="group" aria-label="Ways">
        {ways.map((w, i) => <button key={w.name} type="button" aria-pressed={w === way} onClick={() => setChosen(i)}>{w.name}</button>)}
      </div>
      <p class="hint">{way.hint}</p>
      <pre tabIndex={0} aria-label={`Command for ${way.name}`}><code>{way.code}</code></pre>
      <button type="button" class="primary" onClick={() => void app.copy(way.code, `the command for ${way.name}`)}><Copy /> Copy</button>
    </div>
  );
}

/** How many of the newest events are to be had as one JSON document. */
const newest = 1_000;

/** The events as files. */
export function DownloadMenu({ app }: { app: App }) {
  return <Menu label="Download">{(close) => <Files app={app} close={close} />}</Menu>;
}

function Files({ app, close }: { app: App; close: () => void }) {
  useModels(app.feed);
  const [busy, setBusy] = useState(false);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const [opened] = useState(() => serverNow());
  const loaded = app.feed.items.reduce((n, item) => n + Number(!isHole(item)), 0);
  const json = async () => {
    setBusy(true);
    try {
      const events = await newestEvents(app.query, newest, stop.current.signal);
      save(JSON.stringify(events, null, 2) + "\n", "application/json", fileName(serverNow(), "json"));
      close();
    } catch (error) {
      if (isAbort(error)) return;
      app.say(`Not downloaded: ${problemOf(error).message}`);
      setBusy(false);
    }
  };
  return (
    <div class="choices files">
      <a class="choice" href={allAddress(app.query, opened)} download={fileName(opened, "ndjson")} onClick={close}>
        <b>NDJSON</b> all events that match, a line each
      </a>
      <button type="button" class="choice" disabled={busy} onClick={() => void json()}>
        <b>JSON</b> {busy ? "being fetched…" : `the newest ${count(newest)} that match`}
      </button>
      <button type="button" class="choice" disabled={loaded === 0} onClick={() => { close(); save(csvOf(app.feed.items), "text/csv", fileName(serverNow(), "csv")); }}>
        <b>CSV</b> the {count(loaded)} loaded in the list, for spreadsheets
      </button>
    </div>
  );
}
