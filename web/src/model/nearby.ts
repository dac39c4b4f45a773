import { getPage, isAbort, type Problem, problemOf, urlOf } from "../api/client";
import type { CloudEvent } from "../api/types";
import { pathOf } from "./commands";
import { Model } from "./model";
import { type Row, rowOf } from "./row";

/** How many events of a chain are asked for at once. */
const chainPage = 200;
/** How many events before and after one are around it. */
export const eachSide = 20;
/** What was asked for so shortly ago, in milliseconds, is not asked for again. */
const fresh = 5_000;
/** Somebody who steps through events does not wait for what belongs to each. */
const pause = 150;

/** Asked is something that is asked for about an event, and given up when another is looked at. */
abstract class Asked extends Model {
  /** Oldest first; null before the first answer. */
  rows: Row[] | null = null;
  problem: Problem | null = null;
  busy = false;
  protected subject = "";
  private stop = new AbortController();
  private at = 0;

  close(): void {
    this.stop.abort();
    this.busy = false;
  }

  /** Asks for what belongs to a subject, unless it has been just now. */
  protected begin(subject: string, ask: (signal: AbortSignal) => Promise<void>, wait = pause): void {
    if (subject === this.subject && (this.busy || (Date.now() - this.at < fresh && !this.problem))) return;
    this.close();
    this.subject = subject;
    this.busy = true;
    this.at = 0;
    this.problem = null;
    const stop = (this.stop = new AbortController());
    setTimeout(() => {
      if (!stop.signal.aborted) void this.run(ask, stop.signal);
    }, wait);
    this.changed();
  }

  /** What is held is old, and is asked for again when it is wanted. */
  protected expire(): void {
    this.at = 0;
  }

  private async run(ask: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await ask(signal);
      this.at = Date.now();
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.problem = problemOf(error);
    }
    if (signal.aborted) return;
    this.busy = false;
    this.changed();
  }
}

/** Chain is the events of one operation. */
export class Chain extends Asked {
  /** The address of older events that may belong to it. */
  older: string | null = null;

  /** Whether rows are of this chain. */
  holds(vcenter: string, chain: number): boolean {
    return this.subject === subjectOf(vcenter, chain);
  }

  /** Asks for the newest events of a chain; those that it has stay until the answer comes. */
  show(row: Row): void {
    const subject = subjectOf(row.vcenter, row.chain);
    if (subject !== this.subject) {
      this.rows = null;
      this.older = null;
    }
    const url = urlOf(pathOf(row.vcenter), new URLSearchParams({ chain: String(row.chain), limit: String(chainPage) }));
    const epoch = epochOf(row.id);
    this.begin(subject, async (signal) => {
      const page = await getPage(url, signal);
      this.rows = rowsOf(page.events, row.vcenter).filter((r) => epochOf(r.id) === epoch);
      this.older = page.prev;
    });
  }

  /** Looks for events of the chain before those that it has. */
  showOlder(row: Row): void {
    const { older } = this;
    if (older === null || this.busy) return;
    this.expire();
    const epoch = epochOf(row.id);
    this.begin(this.subject, async (signal) => {
      const page = await getPage(older, signal);
      this.rows = [...rowsOf(page.events, row.vcenter).filter((r) => epochOf(r.id) === epoch), ...(this.rows ?? [])];
      this.older = page.prev;
    }, 0);
  }
}

/** Around is what happened in a vCenter right before and after an event, whatever the page filters. */
export class Around extends Asked {
  /** Whether the log has more before and after. */
  begins = false;
  ends = false;

  show(row: Row): void {
    if (!this.rows?.some((r) => r.key === row.key)) this.rows = null;
    const path = pathOf(row.vcenter);
    const url = (place: Record<string, string>) => urlOf(path, new URLSearchParams({ ...place, limit: String(eachSide) }));
    this.begin(row.key, async (signal) => {
      const [before, after] = await Promise.all([getPage(url({ before: row.id }), signal), getPage(url({ cursor: row.id }), signal)]);
      this.rows = [...rowsOf(before.events, row.vcenter), row, ...rowsOf(after.events, row.vcenter)];
      this.begins = before.prev === null;
      this.ends = after.upToDate;
    });
  }

  /** Asks again, as for what has come since. */
  again(row: Row): void {
    this.expire();
    this.show(row);
  }
}

/** An event that can be offered where the one that was asked for is not to be had. */
export interface Offer {
  what: string;
  row: Row;
}

/** The events nearest to one that the log does not hold. */
export async function nearest(vcenter: string, id: string, problem: Problem, signal: AbortSignal): Promise<Offer[]> {
  const asks: [string, Record<string, string>][] = [];
  const { latest } = problem.document;
  if (problem.status === 410) asks.push(["Oldest event kept", { offset: "earliest" }]);
  else if (latest !== undefined && Number(id) <= latest) asks.push(["Next event before it", { before: id }], ["Next event after it", { offset: id }]);
  if (problem.status === 410 || asks.length === 0) asks.push(["Newest event", {}]);
  const offers = await Promise.all(
    asks.map(async ([what, place]) => {
      const page = await getPage(urlOf(pathOf(vcenter), new URLSearchParams({ ...place, limit: "1" })), signal);
      return rowsOf(page.events, vcenter).map((row) => ({ what, row }));
    }),
  );
  return offers.flat();
}

/** Whether an event passes the filters of a query; params are those filters. */
export async function passes(row: Row, params: URLSearchParams, signal: AbortSignal): Promise<boolean> {
  const all = new URLSearchParams(params);
  all.set("offset", row.id);
  all.set("limit", "1");
  const page = await getPage(urlOf(pathOf(row.vcenter), all), signal);
  return page.events[0]?.id === row.id;
}

function rowsOf(events: CloudEvent[], vcenter: string): Row[] {
  return events.map((event) => rowOf(event, vcenter));
}

function subjectOf(vcenter: string, chain: number): string {
  return `${vcenter}/${chain}`;
}

/** How often the numbers of the vCenter had begun anew: those of chains do so with them. */
function epochOf(id: string): number {
  return Math.floor(Number(id) / 2 ** 32);
}
