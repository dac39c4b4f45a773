import { useEffect, useRef } from "preact/hooks";
import type { Problem } from "../api/client";
import { count, time } from "../format";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import type { Around, Chain } from "../model/nearby";
import { eachSide } from "../model/nearby";
import { only, type Query } from "../model/query";
import type { Row } from "../model/row";
import { apart } from "../text";
import { EventLine } from "./eventline";

/** The events of the operation that an event is of, from its first on. */
export function ChainTab({ app, chain, row }: { app: App; chain: Chain; row: Row }) {
  useModels(chain);
  if (row.chain === 0) return <p class="remark">vCenter has not said which operation this event belongs to.</p>;
  const { rows } = chain;
  const first = rows?.[0];
  return (
    <>
      <p class="bar">
        <span>Chain {row.chain}{first && `, since ${time(first.at, app.settings.utc)}`}</span>
        <button type="button" onClick={() => app.setQuery(chainQuery(app, row))}>Filter to chain</button>
      </p>
      {chain.problem && <Failed problem={chain.problem} what="The chain" onAgain={() => chain.show(row)} />}
      {!rows && !chain.problem && <p class="remark" role="status">Loading…</p>}
      {chain.older && rows && (
        <p class="remark">
          {rows.length > 0 ? `These are the newest ${count(rows.length)}; there may be older ones. ` : "None found yet. "}
          <button type="button" class="link" disabled={chain.busy} onClick={() => chain.showOlder(row)}>Look further back</button>
        </p>
      )}
      {rows && rows.length === 0 && !chain.older && <p class="remark">The log holds none of its events any more.</p>}
      <ol class="event-lines" aria-label="Events of the chain, oldest first">
        {rows?.map((r) => <li key={r.key}><EventLine app={app} row={r} when={r === first ? (chain.older ? "oldest" : "first") : apart(r.at - (first?.at ?? 0))} /></li>)}
      </ol>
    </>
  );
}

/** The query with this chain only; chains of several vCenters may have the same number. */
function chainQuery(app: App, row: Row): Query {
  const query = only(app.query, "chain", String(row.chain));
  return (app.vcenters.value?.length ?? 0) > 1 ? only(query, "vcenter", row.vcenter) : query;
}

/** What happened in the same vCenter right before and after. */
export function AroundTab({ app, around, row }: { app: App; around: Around; row: Row }) {
  useModels(around);
  useEffect(() => {
    around.show(row);
    return () => around.close();
  }, [around, row.key]);
  const { rows } = around;
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "center" }), [rows]);
  const before = rows?.findIndex((r) => r.key === row.key) ?? 0;
  const settled = !around.busy && rows !== null;
  return (
    <>
      <p class="bar">
        <span>All events of {row.vcenter} around this one</span>
        {settled && around.ends && rows.length - before <= eachSide && <button type="button" onClick={() => around.again(row)}>Look again</button>}
      </p>
      {around.problem && <Failed problem={around.problem} what="What happened around it" onAgain={() => around.again(row)} />}
      {!rows && !around.problem && <p class="remark" role="status">Loading…</p>}
      {settled && around.begins && before < eachSide && <p class="remark">The log begins here.</p>}
      <ol ref={list} class="event-lines" aria-label="Events around this one, oldest first">
        {rows?.map((r) => <li key={r.key}><EventLine app={app} row={r} when={r.key === row.key ? "this one" : apart(r.at - row.at)} /></li>)}
      </ol>
      {settled && around.ends && rows.length - before <= eachSide && <p class="remark">Nothing newer yet.</p>}
    </>
  );
}

function Failed({ problem, what, onAgain }: { problem: Problem; what: string; onAgain: () => void }) {
  return (
    <p class="remark problem" role="alert">
      {what} could not be loaded: {problem.message}. <button type="button" class="link" onClick={onAgain}>Try again</button>
    </p>
  );
}
