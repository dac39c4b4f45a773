import type { Bucket, Histogram } from "../api/types";
import { count, date, minute, span, time } from "../format";
import { momentOf, type Query } from "./query";

/** Severities as they are stacked, from the bottom up: what matters most stands on the ground. */
export const stacked = ["error", "warning", "user", "info", "other"] as const;
export type Stacked = (typeof stacked)[number];

/** The counts of the time from a moment, in milliseconds, on. */
export interface Counted extends Record<Stacked, number> {
  at: number;
  total: number;
}

/** A Strip is a stretch of time in buckets of the same width, all in milliseconds. */
export interface Strip {
  from: number;
  to: number;
  width: number;
  /** One after the other, from one end to the other; none where there is nothing to count. */
  buckets: Counted[];
  /** The most events that one bucket has. */
  most: number;
  /** Whether heights are to be as the square roots of counts, for one dwarfs the rest. */
  root: boolean;
  /** Whether its end is now. */
  open: boolean;
}

const mostBuckets = 300;

/**
 * The strip of what the server has counted for a query at a time. It ends with the last event;
 * where the query goes back from now, it goes on to now, and what is added is known to be empty.
 * Null where the server has no event to tell a time from.
 */
export function stripOf(histogram: Histogram, query: Query, at: number): Strip | null {
  const width = 1000 * histogram.width;
  const back = query.until === "" && momentOf(query.since, 0) < 0 ? -momentOf(query.since, 0) : null;
  if (histogram.from === null || !(width > 0)) {
    return back === null ? null : { from: at - back, to: at, width: back, buckets: [], most: 0, root: false, open: true };
  }
  const from = Date.parse(histogram.from);
  const buckets = histogram.buckets.map(counted);
  let open = query.until === "" && at - (from + buckets.length * width) < 2 * width;
  if (back !== null) {
    const n = Math.floor(back / width) + 1;
    open = n <= mostBuckets;
    while (open && buckets.length < n) buckets.push({ at: from + buckets.length * width, total: 0, error: 0, warning: 0, user: 0, info: 0, other: 0 });
  }
  const totals = buckets.map((b) => b.total);
  return { from, to: from + buckets.length * width, width, buckets, most: Math.max(0, ...totals), root: isDwarfed(totals), open };
}

function counted(b: Bucket): Counted {
  const { error, warning, user, info, other } = b;
  return { at: Date.parse(b.time), total: error + warning + user + info + other, error, warning, user, info, other };
}

/** Whether the largest is so far above the others that they could not be told from nothing. */
export function isDwarfed(totals: readonly number[]): boolean {
  const some = totals.filter((n) => n > 0).sort((a, b) => a - b);
  const usual = some[Math.floor(0.9 * (some.length - 1))];
  return usual !== undefined && (some.at(-1) as number) > 8 * usual;
}

/**
 * The heights of a bucket's parts in the order of stacked, where the highest bucket is as high
 * as full. Each part that has an event is at least as high as least, so that one error among
 * thousands is seen; the largest part makes room for it.
 */
export function heightsOf(bucket: Counted, strip: Pick<Strip, "most" | "root">, full: number, least: number): number[] {
  if (bucket.total === 0) return stacked.map(() => 0);
  const part = bucket.total / strip.most;
  const height = full * (strip.root ? Math.sqrt(part) : part);
  const parts = stacked.map((s) => (bucket[s] > 0 ? Math.max(least, Math.round((height * bucket[s]) / bucket.total)) : 0));
  let over = parts.reduce((sum, h) => sum + h, 0) - Math.round(height);
  while (over > 0) {
    const largest = Math.max(...parts);
    const give = Math.min(over, largest - least);
    if (give <= 0) break;
    parts[parts.indexOf(largest)] = largest - give;
    over -= give;
  }
  return parts;
}

/** The bucket that a moment is in, by number; null beyond the strip. */
export function bucketAt(strip: Strip, at: number): number | null {
  const i = Math.floor((at - strip.from) / strip.width);
  return i >= 0 && i < strip.buckets.length ? i : null;
}

/** The time from the beginning of the earlier of two buckets to the end of the later. */
export function stretchOf(strip: Strip, a: number, b: number): { from: number; to: number } {
  const from = strip.from + Math.min(a, b) * strip.width;
  return { from, to: strip.from + (Math.max(a, b) + 1) * strip.width };
}

const nouns: Record<Stacked, [one: string, many: string]> = {
  error: ["error", "errors"],
  warning: ["warning", "warnings"],
  user: ["user event", "user events"],
  info: ["info", "infos"],
  other: ["other", "others"],
};

/** 3 errors */
export function partWords(severity: Stacked, n: number): string {
  return `${count(n)} ${nouns[severity][n === 1 ? 0 : 1]}`;
}

/** 3 errors, 1 warning; empty for nothing. */
export function severityWords(counts: Record<Stacked, number>): string {
  return stacked.filter((s) => counts[s] > 0).map((s) => partWords(s, counts[s])).join(", ");
}

export function eventWords(n: number): string {
  return n === 0 ? "no events" : `${count(n)} event${n === 1 ? "" : "s"}`;
}

/** A moment, as exactly as its bucket needs; with its day where that is not the day of now. */
export function momentWords(at: number, width: number, utc: boolean, now: number): string {
  const day = date(at, utc);
  if (width >= 86_400_000 && time(at, utc) === "00:00:00.000") return day;
  const clock = width < 60_000 || at % 60_000 !== 0 ? time(at, utc).slice(0, 8) : minute(at, utc);
  return day === date(now, utc) ? clock : `${day} ${clock}`;
}

/** 14:52:00 – 14:52:15; the day is told once. */
export function stretchWords({ from, to }: { from: number; to: number }, width: number, utc: boolean, now: number): string {
  const begin = momentWords(from, width, utc, now);
  const end = momentWords(to, width, utc, date(from, utc) === date(to, utc) ? to : now);
  return `${begin} – ${end}`;
}

/** When a strip begins and ends, as is told at its ends. */
export function endsOf(strip: Strip, utc: boolean, now: number): [from: string, to: string] {
  return [momentWords(strip.from, strip.width, utc, now), strip.open ? "now" : momentWords(strip.to, strip.width, utc, now)];
}

/** What can be seen, in a sentence. */
export function summaryOf(strip: Strip, utc: boolean, now: number): string {
  const sums: Record<Stacked, number> = { error: 0, warning: 0, user: 0, info: 0, other: 0 };
  let highest: Counted | undefined;
  for (const bucket of strip.buckets) {
    for (const s of stacked) sums[s] += bucket[s];
    if (bucket.total > (highest?.total ?? 0)) highest = bucket;
  }
  const total = stacked.reduce((n, s) => n + sums[s], 0);
  const words = `${eventWords(total)} from ${endsOf(strip, utc, now).join(" to ")}`;
  if (!highest) return words;
  const most = stretchWords({ from: highest.at, to: highest.at + strip.width }, strip.width, utc, now);
  return `${words}: ${severityWords(sums)}; most in ${most}, ${count(highest.total)} in ${span(strip.width)}`;
}

/** A mark of the time axis where marks are so far apart. */
export function tickWords(at: number, apart: number, utc: boolean): string {
  if (apart >= 86_400_000 || time(at, utc) === "00:00:00.000") return date(at, utc).slice(5);
  return apart < 60_000 ? time(at, utc).slice(0, 8) : minute(at, utc);
}
