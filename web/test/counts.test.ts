import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { FacetsPoll, HistogramPoll } from "../src/model/counts";
import type { Model } from "../src/model/model";
import { everything, type Query } from "../src/model/query";

let asked: URL[] = [];
let answer: (url: URL) => Response = () => Response.json({});
const real = globalThis.fetch;

beforeEach(() => {
  asked = [];
  globalThis.fetch = async (input) => {
    const url = new URL(String(input), "http://server");
    asked.push(url);
    return answer(url);
  };
});
afterEach(() => {
  globalThis.fetch = real;
});

const nothing = { from: null, to: null, width: 0, complete: true, completeSince: null, buckets: [] };
const errors: Query = { ...everything, fields: { severity: ["error"] } };
const change = (model: Model) => new Promise<void>((resolve) => {
  const end = model.subscribe(() => {
    end();
    resolve();
  });
});

test("counts are stale from when another query is shown until those of it are there", async () => {
  answer = () => Response.json(nothing);
  const poll = new HistogramPoll();
  assert.equal(poll.stale, true);
  poll.show(everything);
  await change(poll);
  assert.equal(poll.stale, false);
  poll.show(errors);
  assert.equal(poll.stale, true);
  await change(poll);
  assert.deepEqual([poll.stale, poll.counted, asked.at(-1)?.searchParams.get("severity")], [false, errors, "error"]);
  poll.stop();
});

test("a query that is refused keeps the counts stale and is not asked again", async () => {
  answer = () => Response.json({ type: "urn:vstream:problem:invalid-filter", title: "no", status: 400, detail: "not valid" }, { status: 400 });
  const poll = new HistogramPoll();
  poll.show({ ...everything, filter: "a b" });
  await change(poll);
  assert.deepEqual([poll.stale, poll.problem?.message, asked.length], [true, "not valid", 1]);
}); // and the process ends, for no timer is left

test("the oldest event is asked for where the query goes back to a time, and counts do without it", async () => {
  answer = (url) => (url.pathname.endsWith("/events") ? Response.json([{ time: "2026-11-22T09:00:00Z" }]) : Response.json(nothing));
  const poll = new HistogramPoll();
  poll.show({ ...everything, since: "1h" });
  await change(poll);
  assert.equal(poll.begins, Date.parse("2026-11-22T09:00:00Z"));
  poll.stop();

  answer = (url) => (url.pathname.endsWith("/events") ? new Response("", { status: 500 }) : Response.json(nothing));
  const other = new HistogramPoll();
  other.show({ ...everything, since: "1h" });
  await change(other);
  assert.deepEqual([other.begins, other.stale, other.problem], [null, false, null]);
  other.stop();
});

test("the values of a limited field are those without its limit, and the rare ones it chooses", async () => {
  answer = (url) => {
    const values = url.searchParams.has("severity") ? [{ value: "error", count: 1 }] : [{ value: "info", count: 9 }];
    return Response.json({ complete: true, completeSince: null, events: 1, facets: { severity: { values, others: 1 } } });
  };
  const poll = new FacetsPoll();
  poll.show(errors);
  await change(poll);
  assert.deepEqual(poll.value?.facets["severity"], { values: [{ value: "info", count: 9 }, { value: "error", count: 1 }], others: 0 });
  assert.equal(asked.length, 2);
  poll.stop();
});
