// The time range of a query, as it is shown and chosen.
import { date } from "../format";
import { momentOf, type Query } from "./query";

/** The ranges that the menu offers; the text is what since is. */
export const ranges: { since: string; name: string }[] = [
  { since: "", name: "All that is kept" },
  { since: "5m", name: "Last 5 min" },
  { since: "15m", name: "Last 15 min" },
  { since: "1h", name: "Last 1 h" },
  { since: "6h", name: "Last 6 h" },
  { since: "24h", name: "Last 24 h" },
  { since: "7d", name: "Last 7 d" },
];

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A range in words: Last 15 min; 14:00 – 15:30, 21 Nov; Since 14:00, 21 Nov. */
export function rangeWords(query: Query, utc: boolean, now: number): string {
  const { since, until } = query;
  const named = until === "" && ranges.find((r) => r.since === since);
  if (named) return named.name;
  const zone = utc ? " UTC" : "";
  const from = momentOf(since, now);
  const to = momentOf(until, now);
  const relative = /^[\d.]+[smhdw]/.test(since);
  if (until === "") return relative ? `Last ${since}` : Number.isFinite(from) ? `Since ${clock(from, utc)}, ${day(from, utc, now)}${zone}` : `Since ${since}`;
  if (!Number.isFinite(to)) return `Until ${until}`;
  if (!Number.isFinite(from)) return `Until ${clock(to, utc)}, ${day(to, utc, now)}${zone}`;
  if (date(from, utc) === date(to, utc)) return `${clock(from, utc)} – ${clock(to, utc)}, ${day(to, utc, now)}${zone}`;
  return `${clock(from, utc)}, ${day(from, utc, now)} – ${clock(to, utc)}, ${day(to, utc, now)}${zone}`;
}

/** 14:52, or 14:52:41 where there are seconds. */
function clock(at: number, utc: boolean): string {
  return dateTimeText(at, utc).slice(11).replace(/:00$/, "");
}

/** 21 Nov, with the year where it is another one. */
function day(at: number, utc: boolean, now: number): string {
  const [year = "", month = "", of = ""] = date(at, utc).split("-");
  const words = `${Number(of)} ${months[Number(month) - 1]}`;
  return year === date(now, utc).slice(0, 4) ? words : `${words} ${year}`;
}

/** A time as fields for dates and times have it: 2026-11-22T14:52:41. */
export function dateTimeText(at: number, utc: boolean): string {
  const d = new Date(at);
  const shown = utc ? at : at - d.getTimezoneOffset() * 60_000;
  return new Date(shown).toISOString().slice(0, 19);
}

/** Reads what dateTimeText writes; NaN if it is none. */
export function readDateTime(text: string, utc: boolean): number {
  return Date.parse(utc ? text + "Z" : text);
}

/** The query up to now, and going on. What began at a fixed time does so no more. */
export function live(query: Query): Query {
  return { ...query, until: "", since: /^[\d.]+[smhdw]/.test(query.since) ? query.since : "" };
}
