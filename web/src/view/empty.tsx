import { useEffect, useState } from "preact/hooks";
import { count } from "../format";
import type { App } from "../model/app";
import { countOf } from "../model/counts";
import { drop, everything, fieldNames, type Part, partsOf, type Query, queryParams } from "../model/query";
import { visible } from "../text";

/** What the list shows where there are no rows: why, and what to do. */
export function Empty({ app }: { app: App }) {
  const { feed } = app;
  if (feed.phase === "loading") {
    return (
      <div class="empty" role="status">
        <p>{feed.link?.is === "lost" ? `The server does not answer: ${feed.link.problem.message}. Trying again…` : "Loading…"}</p>
      </div>
    );
  }
  if (feed.phase === "failed" && feed.problem) {
    return (
      <div class="empty" role="alert">
        <h2>This cannot be shown</h2>
        <p>{feed.problem.message}</p>
        <button type="button" onClick={() => app.setQuery(everything)}>Show all events</button>
      </div>
    );
  }
  if (feed.searching) return <div class="empty" role="status"><p>Looking further back…</p></div>;
  const parts = partsOf(app.query);
  if (parts.length > 0 || app.query.since || app.query.until) return <NoMatch app={app} parts={parts} />;
  return <Nothing app={app} />;
}

export function partWords(query: Query, part: Part): string {
  if ("q" in part) return `text: ${query.q}`;
  if ("filter" in part) return `expression: ${query.filter}`;
  const excluded = part.value.startsWith("!");
  return `${excluded ? "not " : ""}${fieldNames[part.field].toLowerCase()}: ${visible(excluded ? part.value.slice(1) : part.value)}`;
}

/** Nothing matches: which part of the query to give up, and what that would show. */
function NoMatch({ app, parts }: { app: App; parts: Part[] }) {
  const { query, feed } = app;
  const ways: { words: string; query: Query }[] = parts.map((part) => ({ words: partWords(query, part), query: drop(query, part) }));
  if (query.since || query.until) ways.push({ words: "the time range", query: { ...query, since: "", until: "" } });
  return (
    <div class="empty" role="status">
      <h2>No event matches</h2>
      {feed.hasOlder && <p>Not all of the log has been looked through. <button type="button" onClick={() => void feed.search()}>Look further back</button></p>}
      <ul>
        {ways.map((way) => <Way key={way.words} app={app} words={way.words} query={way.query} />)}
      </ul>
      {ways.length > 1 && <button type="button" onClick={() => app.setQuery(everything)}>Show all events</button>}
    </div>
  );
}

function Way({ app, words, query }: { app: App; words: string; query: Query }) {
  const [n, setN] = useState<number | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    countOf(query, stop.signal).then(setN, () => {});
    return () => stop.abort();
  }, [queryParams(query).toString()]);
  return (
    <li>
      <button type="button" class="link" onClick={() => app.setQuery(query)}>
        without <i>{words}</i>{n !== null && `: ${count(n)}`}
      </button>
    </li>
  );
}

const beginnings = [
  { what: "Look at a simulated vCenter", command: "vstream demo" },
  { what: "Read a vCenter; the directory has the files username and password", command: "VCENTER_URL=https://vcenter.example.com VCENTER_SECRET_PATH=/run/secrets/vcenter vstream serve" },
  { what: "Install it in Kubernetes", command: "kubectl apply -k deploy/kubernetes/base" },
];

/** The log is empty: how the vCenters are, or how to begin. */
function Nothing({ app }: { app: App }) {
  const all = app.vcenters.value ?? [];
  const well = all.filter((v) => v.state === "collecting");
  return (
    <div class="empty" role="status">
      <h2>No events yet</h2>
      {well.length > 0 ? (
        <p>{well.map((v) => v.name).join(", ")} {well.length === 1 ? "is" : "are"} being read. What happens next appears here at once.</p>
      ) : (
        <ul>
          {all.map((v) => (
            <li key={v.name}>{v.name} ({v.url}): {v.lastError ? v.lastError.message : v.state}</li>
          ))}
        </ul>
      )}
      {well.length === 0 && (
        <>
          <p>Ways to begin:</p>
          <ul class="ways">
            {beginnings.map(({ what, command }) => (
              <li key={what}>
                {what}
                <span class="command"><code>{command}</code><button type="button" onClick={() => void app.copy(command, "the command")}>Copy</button></span>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
