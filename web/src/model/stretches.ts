import type { Histogram } from "../api/types";
import { count, date, time } from "../format";
import type { Strip } from "./buckets";
import { type Hole, isHole, type Item } from "./row";
import type { Outage } from "./vcenters";

/** A time of which the counts do not tell all, in milliseconds, and why. */
export interface Stretch {
  from: number;
  to: number;
  why: string;
  /** Whether nothing is wrong: it is only not there, or not counted. */
  mild: boolean;
}

/** A hole of the list, and when what is behind it goes on; null where nothing is. */
export interface Gap {
  hole: Hole;
  to: number | null;
}

/** The holes among items, the newest hundred. */
export function gapsOf(items: readonly Item[]): Gap[] {
  const gaps: Gap[] = [];
  let next: number | null = null;
  for (let i = items.length - 1; i >= 0 && gaps.length < 100; i--) {
    const item = items[i] as Item;
    if (isHole(item)) gaps.push({ hole: item, to: next });
    else next = item.at;
  }
  return gaps.reverse();
}

/** What is known of the time that a strip shows. */
export interface Known {
  histogram: Pick<Histogram, "complete" | "completeSince">;
  /** When the log begins; null where that is not known. */
  begins: number | null;
  outages: readonly Outage[];
  gaps: readonly Gap[];
}

const causes: Record<Hole["cause"], string> = {
  expired: "Missing in the list",
  vcenter: "Missing",
  buffer: "Counted here, but not loaded in the list",
};

/** The stretches within a strip, the earliest first. */
export function stretchesOf(strip: Strip, known: Known, utc: boolean): Stretch[] {
  const clock = (at: number) => (date(at, utc) === date(strip.to, utc) ? "" : date(at, utc) + " ") + time(at, utc).slice(0, 8);
  const all: Stretch[] = [];
  if (known.begins !== null) {
    all.push({ from: strip.from, to: known.begins, why: `The log has nothing from before ${clock(known.begins)}`, mild: true });
  }
  const since = known.histogram.completeSince;
  if (!known.histogram.complete && since !== null) {
    const at = Date.parse(since);
    all.push({ from: Math.max(strip.from, known.begins ?? strip.from), to: at, why: `Not all is counted before ${clock(at)}`, mild: true });
  }
  for (const { vcenter, from, to } of known.outages) {
    all.push({
      from,
      to: to ?? strip.to,
      why:
        to === null
          ? `${vcenter} has not been read since ${clock(from)}`
          : `${vcenter} was not read from ${clock(from)} to ${clock(to)}; what it still had of that time was read later`,
      mild: false,
    });
  }
  for (const { hole, to } of known.gaps) {
    const most = hole.most === null ? "" : `up to ${count(hole.most)} events: `;
    all.push({ from: hole.at, to: to ?? hole.at, why: `${causes[hole.cause]}: ${most}${hole.text}`, mild: hole.cause === "buffer" });
  }
  return all
    .filter((s) => s.to >= strip.from && s.from < strip.to && s.from <= s.to)
    .map((s) => ({ ...s, from: Math.max(s.from, strip.from), to: Math.min(s.to, strip.to) }))
    .filter((s) => s.to > s.from || s.from > strip.from)
    .sort((a, b) => a.from - b.from);
}
