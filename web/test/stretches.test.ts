import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hole, Item, Row } from "../src/model/row";
import { gapsOf, type Known, stretchesOf } from "../src/model/stretches";

const begin = Date.parse("2026-11-22T09:00:00Z");
const minutes = (n: number) => begin + n * 60_000;
const strip = { from: begin, to: minutes(60), width: 60_000, buckets: [], most: 0, root: false, open: true };
const known: Known = { histogram: { complete: true, completeSince: null }, begins: null, outages: [], gaps: [] };
const hole: Hole = { key: "hole-1", cause: "expired", text: "the log dropped them", most: 312, at: minutes(5), from: "", loading: false };

test("a vCenter that was not read, or is not, is a stretch", () => {
  const outages = [
    { vcenter: "vc1", from: minutes(50), to: null },
    { vcenter: "vc2", from: minutes(-10), to: minutes(10) },
    { vcenter: "vc3", from: minutes(-10), to: minutes(-5) },
  ];
  assert.deepEqual(stretchesOf(strip, { ...known, outages }, true), [
    { from: begin, to: minutes(10), why: "vc2 was not read from 08:50:00 to 09:10:00; what it still had of that time was read later", mild: false },
    { from: minutes(50), to: minutes(60), why: "vc1 has not been read since 09:50:00", mild: false },
  ]);
});

test("a hole of the list is a stretch up to the next row", () => {
  const row = (at: number) => ({ key: `vc1/${at}`, at }) as Row;
  const items: Item[] = [row(minutes(5)), hole, row(minutes(7))];
  const gaps = gapsOf(items);
  assert.deepEqual(gaps.map((g) => g.to), [minutes(7)]);
  assert.deepEqual(stretchesOf(strip, { ...known, gaps }, true), [
    { from: minutes(5), to: minutes(7), why: "Missing in the list: up to 312 events: the log dropped them", mild: false },
  ]);
});

test("what the log does not have and what is not counted is told once each", () => {
  const histogram = { complete: false, completeSince: "2026-11-22T09:20:00Z" };
  assert.deepEqual(stretchesOf(strip, { ...known, histogram, begins: minutes(10) }, true), [
    { from: begin, to: minutes(10), why: "The log has nothing from before 09:10:00", mild: true },
    { from: minutes(10), to: minutes(20), why: "Not all is counted before 09:20:00", mild: true },
  ]);
  assert.deepEqual(stretchesOf(strip, { ...known, begins: begin }, true), []);
  assert.deepEqual(stretchesOf(strip, { ...known, begins: minutes(-30) }, true), []);
});
