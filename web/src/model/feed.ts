import { getPage, isAbort, type Page, Problem, problemOf, urlOf } from "../api/client";
import { type Link, Stream, type Told } from "../api/stream";
import { Model } from "./model";
import { everything, filterParams, isHistorical, momentOf, type Query } from "./query";
import { beforeOf, type Hole, isHole, type Item, type Row, rowOf } from "./row";

/** How many rows are kept; beyond it those farthest away go, and are loaded again when looked for. */
export const maxItems = 100_000;
/** How many events are kept aside while the list stands still. */
export const maxPending = 5_000;
/** How many events a lost reader reads on before it goes to the newest ones. */
const maxCatchUp = 5_000;
const firstPage = 200;
const pageSize = 1_000;
/** How many rows a search goes back for by itself, in how many answers at most. */
const enough = 100;
const mostSearches = 30;

export type Phase = "loading" | "ready" | "failed";

/**
 * A Feed is the window of the log that the list shows: a stretch of the events of a query, which
 * grows at its old end when somebody scrolls there, and at its new end as events happen.
 */
export class Feed extends Model {
  /** Oldest first. Changed in place; oldEnd tells by how much the first item has moved. */
  items: Item[] = [];
  /** Items ever added before the first one, less those ever dropped there; what fills a hole counts. */
  oldEnd = 0;
  /** Changes when the window is another one altogether. */
  generation = 0;
  /** Which end the window has begun at. */
  from: "newest" | "oldest" = "newest";
  phase: Phase = "loading";
  /** Why phase is failed, or the events before or after cannot be had. */
  problem: Problem | null = null;
  /** The stream; null where the end of the log is not in the window. */
  link: Link | null = null;
  paused = false;
  /** The log is another one than before, whose events are gone, until somebody has seen that. */
  replaced = false;
  /** What came since the list stands still. */
  pending: Item[] = [];
  /** More came than is kept aside. */
  overflowed = false;
  busy: { older: boolean; newer: boolean } = { older: false, newer: false };
  /** Too little was found to fill the list, and it looks further back. */
  searching = false;

  private query: Query = everything;
  private older: string | null = null;
  private newer: string | null = null;
  private cursor = "~";
  private stream: Stream | null = null;
  private stop = new AbortController();
  private held = false;
  private wake: (() => void) | null = null;
  private holes = 0;

  /** vcenterOf names the vCenter of a source. */
  constructor(private readonly vcenterOf: (source: string) => string) {
    super();
  }

  get hasOlder(): boolean {
    return this.older !== null;
  }

  /** Whether there are newer events that are not in the window, and no stream. */
  get hasNewer(): boolean {
    return this.newer !== null;
  }

  /** Items ever added behind the last one, less those ever dropped there. */
  get newEnd(): number {
    return this.items.length - this.oldEnd;
  }

  get still(): boolean {
    return this.paused || this.held;
  }

  /** Shows the newest events of a query, and goes on with what happens. */
  async show(query: Query): Promise<void> {
    this.query = query;
    await this.begin(this.address({ limit: firstPage }), true);
  }

  /** Shows the events of the query from a time on, in milliseconds, and stands still; from the oldest on without. */
  async jump(at: number | null): Promise<void> {
    const from = at ?? momentOf(this.query.since, Date.now());
    const place = Number.isFinite(from) ? { since: new Date(from).toISOString() } : { offset: "earliest" };
    await this.begin(this.address({ limit: firstPage, ...place }), false);
  }

  close(): void {
    this.stop.abort();
    this.stream?.close();
    this.stream = null;
  }

  /** Stands still: what happens is counted and kept aside. */
  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.changed();
  }

  /** Goes on with what happens, wherever it is. */
  resume(): void {
    this.paused = false;
    if (this.newer !== null) void this.show(this.query);
    else this.flow();
  }

  /** Stands still for as long as somebody points at a row. */
  hold(on: boolean): void {
    if (this.held === on) return;
    this.held = on;
    this.flow();
  }

  /** Comes again at once where it would wait, as when somebody has signed in. */
  retry(): void {
    if (this.phase === "loading") this.wake?.();
    else if (this.phase === "failed") void this.show(this.query);
    else if (this.stream) this.stream.retry();
    else if (this.newer === null && !isHistorical(this.query)) void this.catchUp();
  }

  /** Somebody has seen that the log is another one. */
  understood(): void {
    this.replaced = false;
    this.changed();
  }

  /** Puts a hole behind the newest event. */
  mark(hole: Pick<Hole, "cause" | "text" | "most">): void {
    const item = this.hole(hole.cause, hole.text, hole.most, "");
    if (this.still) this.pending.push(item);
    else this.append([item]);
    this.changed();
  }

  async loadOlder(): Promise<void> {
    const url = this.older;
    if (url === null || this.busy.older) return;
    this.busy.older = true;
    this.changed();
    await this.guarded(async (signal) => {
      const page = await getPage(url, signal);
      this.prepend(page);
    });
    this.busy.older = false;
    this.changed();
  }

  async loadNewer(): Promise<void> {
    const url = this.newer;
    if (url === null || this.busy.newer) return;
    this.busy.newer = true;
    this.changed();
    await this.guarded(async (signal) => this.extend(await getPage(url, signal)));
    this.busy.newer = false;
    this.changed();
  }

  /** Loads what is missing in a hole, as far as the server has it. */
  async fill(hole: Hole): Promise<void> {
    if (hole.loading || !hole.from) return;
    hole.loading = true;
    this.changed();
    await this.guarded(async (signal) => {
      const page = await getPage(this.address({ limit: pageSize, cursor: hole.from }), signal);
      const at = this.items.indexOf(hole);
      if (at < 0) return;
      const end = this.items.slice(at + 1).find((item): item is Row => !isHole(item));
      const rows = this.rows(page);
      const met = rows.findIndex((row) => row.key === end?.key);
      const missed = met >= 0 ? rows.slice(0, met) : rows;
      const filled = met >= 0 || page.upToDate;
      this.items.splice(at, filled ? 1 : 0, ...missed);
      this.oldEnd += missed.length - (filled ? 1 : 0);
      hole.from = page.cursor;
    });
    hole.loading = false;
    this.changed();
  }

  /** Goes on searching further back where it has stopped. */
  async search(): Promise<void> {
    const stop = this.stop;
    this.searching = true;
    for (let n = 0; n < mostSearches && this.items.length < enough && this.older !== null && this.stop === stop; n++) {
      await this.loadOlder();
      if (this.problem) break;
    }
    if (this.stop === stop) this.searching = false;
    this.changed();
  }

  private address(more: Record<string, string | number>): string {
    const params = filterParams(this.query);
    if (this.query.until) params.set("until", this.query.until);
    for (const [name, value] of Object.entries(more)) params.set(name, String(value));
    return urlOf("/events", params);
  }

  private async begin(url: string, newest: boolean): Promise<void> {
    this.close();
    const stop = (this.stop = new AbortController());
    this.phase = "loading";
    this.link = null;
    this.problem = null;
    this.paused = !newest;
    this.dropPending();
    this.busy = { older: false, newer: false };
    this.searching = false;
    this.changed();
    if (this.query.since && Number.isNaN(momentOf(this.query.since, Date.now()))) return this.fail(noTime(this.query.since));
    for (let attempt = 0; ; attempt++) {
      try {
        const page = await getPage(url, stop.signal);
        this.replace(page, newest);
        break;
      } catch (error) {
        if (isAbort(error) || stop.signal.aborted) return;
        this.problem = problemOf(error);
        if (!this.problem.passes) return this.fail(this.problem);
        const wait = Math.max(this.problem.retryAfter, Math.min(30_000, 1_000 * 2 ** attempt));
        this.link = { is: "lost", since: Date.now(), retryAt: Date.now() + wait, problem: this.problem };
        this.changed();
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, wait);
          this.wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        this.wake = null;
        if (stop.signal.aborted) return;
      }
    }
    if (newest) await this.search();
  }

  private fail(problem: Problem): void {
    this.problem = problem;
    this.phase = "failed";
    this.items = [];
    this.changed();
  }

  private replace(page: Page, newest: boolean): void {
    this.items = [];
    this.oldEnd = 0;
    this.generation++;
    this.from = newest ? "newest" : "oldest";
    this.phase = "ready";
    this.problem = null;
    this.older = null;
    this.newer = null;
    this.prepend(page);
    if (newest) {
      this.cursor = page.cursor;
      if (!isHistorical(this.query)) this.follow();
    } else {
      this.reach(page);
    }
    this.changed();
  }

  /** Takes a page that goes on at the new end, and follows where that is the end of the log. */
  private extend(page: Page): void {
    this.append(this.rows(page));
    this.reach(page);
  }

  private reach(page: Page): void {
    this.cursor = page.cursor;
    this.newer = page.upToDate || !page.next ? null : withLimit(page.next, pageSize);
    if (page.upToDate && !isHistorical(this.query)) this.follow();
    this.changed();
  }

  private follow(): void {
    this.stream?.close();
    this.stream = new Stream(urlOf("/events", filterParams(this.query)), this.cursor, {
      told: (batch) => this.told(batch),
      bookmark: (b) => {
        this.cursor = b.cursor;
      },
      link: (link) => {
        this.link = link;
        this.changed();
      },
      refused: (problem) => void this.refused(problem),
    });
  }

  private told(batch: Told[]): void {
    const rows = batch.map((t) => rowOf(t.event, this.vcenterOf(t.event.source), t.cursor));
    this.cursor = rows.at(-1)?.cursor ?? this.cursor;
    if (!this.still) {
      this.append(rows);
      return;
    }
    this.pending.push(...rows);
    if (this.pending.length >= maxPending) {
      this.overflowed = true;
      this.stream?.close();
      this.stream = null;
    }
    this.changed();
  }

  private flow(): void {
    if (this.still) {
      this.changed();
      return;
    }
    const { pending, overflowed } = this;
    this.dropPending();
    this.append(pending);
    if (overflowed) void this.catchUp();
  }

  private dropPending(): void {
    this.pending = [];
    this.overflowed = false;
  }

  /** Reads on from the cursor up to the end of the log, or for so long; then goes to its end. */
  private async catchUp(): Promise<void> {
    const began = this.cursor;
    await this.guarded(async (signal) => {
      let page: Page = { events: [], cursor: began, upToDate: false, prev: null, next: null };
      for (let n = 0; n < maxCatchUp && !page.upToDate; n += pageSize) {
        page = await getPage(this.address({ limit: pageSize, cursor: page.cursor }), signal);
        this.append(this.rows(page));
        this.cursor = page.cursor;
      }
      if (!page.upToDate) {
        const from = page.cursor;
        page = await getPage(this.address({ limit: firstPage }), signal);
        this.append([this.hole("buffer", "more came while the list stood still than is kept aside", null, from), ...this.rows(page)]);
        this.cursor = page.cursor;
      }
      this.follow();
    });
  }

  /** The server does not go on at the cursor. */
  private async refused(problem: Problem): Promise<void> {
    this.stream = null;
    const { missed, resume } = problem.document;
    if (problem.status === 410) {
      const hole = this.hole("expired", "the log dropped them before they were read", missed ?? null, "");
      await this.guarded(async (signal) => {
        const page = resume ? await getPage(this.address({ limit: pageSize, ...placeOf(resume) }), signal) : await getPage(this.address({ limit: firstPage }), signal);
        this.append([hole, ...this.rows(page)]);
        this.cursor = page.cursor;
        if (page.upToDate) this.follow();
        else await this.catchUp();
      });
      return;
    }
    if (problem.status === 409) {
      this.replaced = true;
      await this.show(this.query);
      return;
    }
    this.problem = problem;
    this.link = null;
    this.changed();
  }

  /** The events of a page; its first one knows where to go back from, its last one where to go on. */
  private rows(page: Page): Row[] {
    const rows = page.events.map((e) => rowOf(e, this.vcenterOf(e.source)));
    const [first] = rows;
    const last = rows.at(-1);
    if (first) first.before = page.prev ?? "";
    if (last) last.after = page.cursor;
    return rows;
  }

  private prepend(page: Page): void {
    let rows = this.rows(page);
    this.older = page.prev && withLimit(page.prev, pageSize);
    const since = momentOf(this.query.since, Date.now());
    if (rows[0] && rows[0].at < since) {
      rows = rows.filter((row) => row.at >= since);
      this.older = null;
    }
    this.items = [...rows, ...this.items];
    this.oldEnd += rows.length;
    if (this.items.length > maxItems) this.trimNewest();
    this.changed();
  }

  private append(items: Item[]): void {
    for (const item of items) this.items.push(item);
    if (this.items.length > maxItems) this.trim();
    this.changed();
  }

  /** Drops the oldest tenth, up to a row that one can go back from. */
  private trim(): void {
    for (let n = Math.floor(maxItems / 10); n < this.items.length; n++) {
      const first = this.items[n] as Item;
      if (isHole(first)) continue;
      const before = beforeOf(first);
      if (!first.before && !before) continue;
      this.older = first.before || this.address({ limit: pageSize, before });
      this.items.splice(0, n);
      this.oldEnd -= n;
      return;
    }
  }

  /** Drops the newest tenth, down to a row that one can go on from. What happens is not followed any more. */
  private trimNewest(): void {
    for (let n = Math.ceil(0.9 * maxItems); n > 0; n--) {
      const last = this.items[n - 1] as Item;
      if (isHole(last) || !last.after) continue;
      this.newer = this.address({ limit: pageSize, cursor: last.after });
      this.items.length = n;
      this.stream?.close();
      this.stream = null;
      this.link = null;
      this.dropPending();
      return;
    }
  }

  private hole(cause: Hole["cause"], text: string, most: number | null, from: string): Hole {
    this.holes++;
    const newest = this.items.at(-1);
    return { key: `hole-${this.holes}`, cause, text, most, at: newest?.at ?? Date.now(), from, loading: false };
  }

  /** Runs what asks the server, and keeps what goes wrong, unless the query has changed. */
  private async guarded(ask: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.stop;
    try {
      await ask(signal);
      this.problem = null;
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.problem = problemOf(error);
      if (this.problem.passes && this.link?.is !== "open" && this.newer === null && this.phase === "ready" && !isHistorical(this.query)) {
        this.follow(); // which tries again
      }
    }
    this.changed();
  }
}

/** What the server says of a time that it cannot read. The list does not ask it from when on its rows are. */
function noTime(since: string): Problem {
  const detail = `invalid since: “${since}” is no time; write it as 15m, 2d or 2026-11-22T09:00:00Z`;
  return new Problem({ type: "urn:vstream:problem:invalid-parameter", title: "Invalid parameter", status: 400, detail, parameter: "since" });
}

/** The address of a page with another limit. */
function withLimit(url: string, limit: number): string {
  const [path = "", query = ""] = url.split("?");
  const params = new URLSearchParams(query);
  params.set("limit", String(limit));
  return `${path}?${params}`;
}

/** The position in an address that the server gave: cursor or offset. */
function placeOf(resume: string): Record<string, string> {
  const params = new URLSearchParams(resume.slice(resume.indexOf("?") + 1));
  for (const name of ["cursor", "offset"]) {
    const value = params.get(name);
    if (value !== null) return { [name]: value };
  }
  return { offset: "earliest" };
}
