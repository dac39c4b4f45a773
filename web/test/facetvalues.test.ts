import assert from "node:assert/strict";
import { test } from "node:test";
import type { Facets } from "../src/api/types";
import { joined } from "../src/model/counts";
import { everything, type Query } from "../src/model/query";
import { completenessWords, held, isOnly, namedAs, valuesOf } from "../src/model/facetvalues";

function facetsOf(field: string, others: number, ...counts: [string, number][]): Facets {
  return { complete: true, completeSince: null, events: 7, facets: { [field]: { values: counts.map(([value, count]) => ({ value, count })), others } } };
}

const asking = (field: string, ...values: string[]): Query => ({ ...everything, fields: { [field]: values } });
const brief = (values: { value: string; count: number | null; state: string }[]) => values.map((v) => [v.value, v.count, v.state]);

test("severities keep their order, also without events, and those of extensions follow", () => {
  assert.deepEqual(brief(valuesOf("severity", facetsOf("severity", 0, ["info", 9], ["odd", 1], ["error", 2]), everything).values), [
    ["error", 2, ""], ["warning", 0, ""], ["info", 9, ""], ["user", 0, ""], ["odd", 1, ""],
  ]);
});

test("what the query names is marked, in any case and with its commas", () => {
  const facets = facetsOf("vm", 0, ["web-1", 5], ["a,b", 3], ["db", 1]);
  assert.deepEqual(brief(valuesOf("vm", facets, asking("vm", "WEB-1", "a*b")).values), [["web-1", 5, "in"], ["a,b", 3, "in"], ["db", 1, ""]]);
  assert.deepEqual(brief(valuesOf("vm", facets, asking("vm", "!web-1")).values), [["web-1", 5, "out"], ["a,b", 3, ""], ["db", 1, ""]]);
});

test("a value that the query names is shown without events, and without a count that nobody knows", () => {
  assert.deepEqual(brief(valuesOf("vm", facetsOf("vm", 0, ["db", 1]), asking("vm", "gone", "db")).values), [["db", 1, "in"], ["gone", 0, "in"]]);
  assert.deepEqual(brief(valuesOf("vm", facetsOf("vm", 9, ["db", 1]), asking("vm", "!rare")).values), [["db", 1, ""], ["rare", null, "out"]]);
  assert.deepEqual(brief(valuesOf("vm", facetsOf("vm", 9, ["db", 1]), asking("vm", "web*")).values), [["db", 1, ""], ["web*", 7, "in"]]);
});

test("chosen values that are rare come behind the frequent ones", () => {
  const wide = { values: [{ value: "a", count: 5 }, { value: "b", count: 4 }], others: 3 };
  assert.deepEqual(joined(wide, [{ value: "b", count: 4 }, { value: "z", count: 1 }]), { values: [...wide.values, { value: "z", count: 1 }], others: 2 });
});

test("values that somebody points at do not move", () => {
  const v = (value: string, count: number | null, state: "" | "in" = "") => ({ value, count, state });
  const before = [v("a", 5), v("b", 4), v("c", 3)];
  const now = { values: [v("b", 9), v("n", 8), v("a", 7), v("m", 1, "in")], others: 2 };
  assert.deepEqual(held(before, now, false).values, [v("a", 7), v("b", 9), v("c", null), v("m", 1, "in")]);
  assert.deepEqual(held(before, { ...now, others: 0 }, true).values, [v("a", 7), v("b", 9), v("c", 0), v("n", 8), v("m", 1, "in")]);
});

test("a value is dropped as the query has it", () => {
  const query = asking("vm", "WEB-1", "!a*b");
  assert.equal(namedAs(query, "vm", "web-1", "in"), "WEB-1");
  assert.equal(namedAs(query, "vm", "a,b", "out"), "!a*b");
  assert.equal(isOnly(asking("vm", "WEB-1"), "vm", "web-1"), true);
  assert.equal(isOnly(query, "vm", "web-1"), false);
});

test("incomplete counts say from when on they are complete", () => {
  assert.equal(completenessWords({ complete: true, completeSince: null }, String), "");
  assert.match(completenessWords({ complete: false, completeSince: "2026-11-22T09:20:00Z" }, (iso) => iso.slice(11, 16)), /^Counts are complete since 09:20;/);
  assert.match(completenessWords({ complete: false, completeSince: null }, String), /not complete yet/);
});
