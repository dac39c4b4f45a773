import assert from "node:assert/strict";
import { test } from "node:test";
import type { Histogram } from "../src/api/types";
import { bucketAt, type Counted, heightsOf, isDwarfed, momentWords, severityWords, stretchOf, stretchWords, stripOf, summaryOf, tickWords } from "../src/model/buckets";
import { everything } from "../src/model/query";

const begin = Date.parse("2026-11-22T09:00:00Z");
const empty = { info: 0, warning: 0, error: 0, user: 0, other: 0 };

function histogram(width: number, ...infos: number[]): Histogram {
  const at = (i: number) => new Date(begin + i * width * 1000).toISOString();
  return { from: at(0), to: at(infos.length), width, complete: true, completeSince: null, buckets: infos.map((info, i) => ({ ...empty, time: at(i), info })) };
}

function bucket(counts: Partial<Counted>): Counted {
  const all = { ...empty, ...counts };
  return { ...all, at: begin, total: all.info + all.warning + all.error + all.user + all.other };
}

test("a strip ends with the last event, and is open where that was just now", () => {
  const strip = stripOf(histogram(15, 3, 0, 5), everything, begin + 50_000);
  assert.deepEqual([strip?.buckets.length, strip?.to, strip?.most, strip?.open], [3, begin + 45_000, 5, true]);
  assert.equal(stripOf(histogram(15, 3, 0, 5), everything, begin + 3_600_000)?.open, false);
  assert.equal(stripOf(histogram(15, 3), { ...everything, until: "2026-11-22T09:00:15Z" }, begin + 15_000)?.open, false);
});

test("a strip of the last minutes goes on to now, whatever the clock of the browser says", () => {
  const strip = stripOf(histogram(15, 3, 1), { ...everything, since: "15m" }, begin - 3_600_000);
  assert.deepEqual([strip?.buckets.length, strip?.to, strip?.open], [61, begin + 61 * 15_000, true]);
  assert.equal(strip?.buckets.at(-1)?.total, 0);
});

test("a strip does not go on to now where that would be too many buckets to see", () => {
  const strip = stripOf(histogram(1, 3, 1), { ...everything, since: "30d" }, begin);
  assert.deepEqual([strip?.buckets.length, strip?.open], [2, false]);
});

test("where the server counts nothing there is a time without buckets, or none", () => {
  const nothing: Histogram = { from: null, to: null, width: 0, complete: true, completeSince: null, buckets: [] };
  assert.equal(stripOf(nothing, everything, begin), null);
  const strip = stripOf(nothing, { ...everything, since: "15m" }, begin);
  assert.deepEqual([strip?.from, strip?.to, strip?.buckets.length], [begin - 900_000, begin, 0]);
});

test("one bucket dwarfs the rest when it is eight times what is usual", () => {
  assert.equal(isDwarfed([3, 3, 3, 0, 3, 50_000]), true);
  assert.equal(isDwarfed([3, 3, 24]), false);
  assert.equal(isDwarfed([3, 3, 25]), true);
  assert.equal(isDwarfed([50_000]), false);
  assert.equal(isDwarfed([0, 0]), false);
  assert.equal(isDwarfed([]), false);
});

test("heights add up to the bar, and one error among thousands is seen", () => {
  const strip = { most: 10_000, root: false };
  assert.deepEqual(heightsOf(bucket({ info: 10_000 }), strip, 56, 2), [0, 0, 0, 56, 0]);
  assert.deepEqual(heightsOf(bucket({ error: 1, info: 9_999 }), strip, 56, 2), [2, 0, 0, 54, 0]);
  assert.deepEqual(heightsOf(bucket({ error: 1, warning: 1, info: 1 }), strip, 56, 2), [2, 2, 0, 2, 0]);
  assert.deepEqual(heightsOf(bucket({}), strip, 56, 2), [0, 0, 0, 0, 0]);
  assert.deepEqual(heightsOf(bucket({ info: 100 }), { most: 10_000, root: true }, 60, 2), [0, 0, 0, 6, 0]);
});

test("a moment is in the bucket that it begins, and buckets make a stretch in any order", () => {
  const strip = stripOf(histogram(15, 3, 0, 5), everything, begin);
  assert.ok(strip);
  assert.deepEqual([begin - 1, begin, begin + 14_999, begin + 15_000, begin + 45_000].map((at) => bucketAt(strip, at)), [null, 0, 0, 1, null]);
  assert.deepEqual(stretchOf(strip, 2, 1), { from: begin + 15_000, to: begin + 45_000 });
});

test("times are told as exactly as needed, with the day where it is another", () => {
  assert.equal(momentWords(begin, 60_000, true, begin), "09:00");
  assert.equal(momentWords(begin + 15_000, 60_000, true, begin), "09:00:15");
  assert.equal(momentWords(begin, 15_000, true, begin), "09:00:00");
  assert.equal(momentWords(begin, 60_000, true, begin + 86_400_000), "2026-11-22 09:00");
  assert.equal(momentWords(begin - 9 * 3_600_000, 86_400_000, true, begin), "2026-11-22");
  assert.equal(stretchWords({ from: begin, to: begin + 60_000 }, 60_000, true, begin + 86_400_000), "2026-11-22 09:00 – 09:01");
  assert.equal(tickWords(begin, 300_000, true), "09:00");
  assert.equal(tickWords(begin, 15_000, true), "09:00:00");
  assert.equal(tickWords(begin + 15 * 3_600_000, 3_600_000, true), "11-23");
});

test("the summary says how many, of which severities, and when most", () => {
  const counts = histogram(60, 3, 1234);
  (counts.buckets[0] as { error: number }).error = 1;
  const strip = stripOf(counts, everything, begin + 3_600_000);
  assert.ok(strip);
  assert.equal(summaryOf(strip, true, begin), "1,238 events from 09:00 to 09:02: 1 error, 1,237 infos; most in 09:01 – 09:02, 1,234 in 60 s");
  assert.equal(severityWords({ ...empty, user: 1, warning: 2 }), "2 warnings, 1 user event");
  const quiet = stripOf(histogram(60, 0, 0), everything, begin + 60_000);
  assert.ok(quiet);
  assert.equal(summaryOf(quiet, true, begin), "no events from 09:00 to now");
});
