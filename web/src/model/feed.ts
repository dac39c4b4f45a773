import { getPage, isAbort, type Page, Problem, problemOf, serverNow, urlOf } from "../api/client";
import { type Link, Stream, type Told } from "../api/stream";
import { Wait } from "../api/wait";
import { placeOf, withLimit, withoutVCenter } from "./address";
import { Model } from "./model";
import { everything, filterParams, isHistorical, momentOf, type Query } from "./query";
import { type Hole, type Item, type Row, rowOf } from "./row";
import { Rows } from "./rows";

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
  readonly rows = new Rows(
    (before) => this.address({ limit: pageSize, before }),
    (cursor) => this.address({ limit: pageSize, cursor }),
  );
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
  private cursor = "~";
  private stream: Stream | null = null;
  private stop = new AbortController();
  private held = false;
  private asleep = false;
  private catching = false;
  private readonly wait = new Wait();

  /** vcenterOf names the vCenter of a source. */
  constructor(private readonly vcenterOf: (source: string) => string) {
    super();
  }

  get items(): readonly Item[] {
    return this.rows.items;
  }

  get hasOlder(): boolean {
    return this.rows.older !== null;
  }

  /** Whether there are newer events that are not in the window, and no stream. */
  get hasNewer(): boolean {
    return this.rows.newer !== null;
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
    const from = at ?? momentOf(this.query.since, serverNow());
    const place = Number.isFinite(from) ? { since: new Date(from).toISOString() } : { offset: "earliest" };
    await this.begin(this.address({ limit: firstPage, ...place }), false);
  }

  close(): void {
    this.stop.abort();
    this.wait.end();
    this.unfollow();
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
    if (this.rows.newer !== null) void this.show(this.query);
    else this.flow();
  }

  /** Stands still for as long as somebody points at a row. */
  hold(on: boolean): void {
    if (this.held === on) return;
    this.held = on;
    this.flow();
  }

  /** Lets go of the server while nobody looks: browsers have only so many connections to it. */
  sleep(): void {
    if (!this.stream) return;
    this.unfollow();
    this.asleep = true;
    this.changed();
  }

  /** Goes on where it was when it fell asleep. */
  wakeUp(): void {
    if (this.asleep) void this.catchUp();
  }

  /** Comes again at once where it would wait, as when somebody has signed in. */
  retry(): void {
    if (this.phase === "loading") this.wait.end();
    else if (this.phase === "failed") void this.show(this.query);
    else {
      this.problem = null;
      if (this.stream) this.stream.retry();
      else if (this.follows) void this.catchUp();
      this.changed();
    }
  }

  /** Somebody has seen that the log is another one. */
  understood(): void {
    this.replaced = false;
    this.changed();
  }

  /** Puts a hole behind the newest event, where the list shows what happens now. */
  mark(hole: Pick<Hole, "cause" | "text" | "most">): void {
    if (this.follows) this.add([this.hole(hole.cause, hole.text, hole.most, "")]);
  }

  async loadOlder(): Promise<void> {
    const url = this.rows.older;
    if (url === null || this.busy.older || this.phase !== "ready") return;
    this.busy.older = true;
    this.changed();
    await this.guarded(async (signal) => {
      try {
        this.prepend(await getPage(url, signal));
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 410) throw error;
        this.rows.older = withoutVCenter(url, error.document.vcenter ?? ""); // whose log has dropped all that was before
      }
    });
    this.busy.older = false;
    this.changed();
  }

  async loadNewer(): Promise<void> {
    const url = this.rows.newer;
    if (url === null || this.busy.newer || this.phase !== "ready") return;
    this.busy.newer = true;
    this.changed();
    await this.guarded(async (signal) => this.extend(await getPage(url, signal)));
    this.busy.newer = false;
    this.changed();
  }

  /** Loads what is missing in a hole, as far as the server has it. */
  async fill(hole: Hole): Promise<void> {
    if (hole.loading || !hole.from || this.phase !== "ready") return;
    hole.loading = true;
    this.changed();
    await this.guarded(async (signal) => {
      const { page, lost } = await this.behind(hole.from, signal);
      this.rows.fill(hole, lost, this.rowsOf(page), page.upToDate);
      hole.from = page.cursor;
    });
    hole.loading = false;
    this.changed();
  }

  /** Goes on searching further back where it has stopped. */
  async search(): Promise<void> {
    const stop = this.stop;
    this.searching = true;
    for (let n = 0; n < mostSearches && this.items.length < enough && this.rows.older !== null && this.stop === stop; n++) {
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
    this.problem = null;
    this.paused = !newest;
    this.dropPending();
    this.busy = { older: false, newer: false };
    this.searching = false;
    this.changed();
    if (this.query.since && Number.isNaN(momentOf(this.query.since, serverNow()))) return this.fail(noTime(this.query.since));
    let lostAt = 0;
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
        lostAt ||= serverNow();
        this.link = { is: "lost", since: lostAt, retryAt: serverNow() + wait, problem: this.problem };
        this.changed();
        await this.wait.for(wait);
        if (stop.signal.aborted) return;
      }
    }
    if (newest) await this.search();
  }

  private fail(problem: Problem): void {
    this.problem = problem;
    this.phase = "failed";
    this.rows.clear();
    this.changed();
  }

  private replace(page: Page, newest: boolean): void {
    this.rows.clear();
    this.generation++;
    this.from = newest ? "newest" : "oldest";
    this.phase = "ready";
    this.problem = null;
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
    this.append(this.rowsOf(page));
    this.reach(page);
  }

  private reach(page: Page): void {
    this.cursor = page.cursor;
    this.rows.newer = page.upToDate || !page.next ? null : withLimit(page.next, pageSize);
    if (page.upToDate && !isHistorical(this.query)) this.follow();
    this.changed();
  }

  private follow(): void {
    this.unfollow();
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

  private unfollow(): void {
    this.stream?.close();
    this.stream = null;
    this.link = null;
    this.asleep = false;
  }

  /** Whether the window goes on with what happens. */
  private get follows(): boolean {
    return this.rows.newer === null && this.phase === "ready" && !isHistorical(this.query);
  }

  private told(batch: Told[]): void {
    const rows = batch.map((t) => rowOf(t.event, this.vcenterOf(t.event.source), t.cursor));
    this.cursor = rows.at(-1)?.cursor ?? this.cursor;
    this.add(rows);
  }

  /** Adds what has happened: to the list, or aside while it stands still. */
  private add(items: Item[]): void {
    if (!this.still) {
      this.append(items);
      return;
    }
    this.pending.push(...items);
    if (this.pending.length >= maxPending) {
      this.overflowed = true;
      this.unfollow();
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

  /**
   * Reads on from the cursor up to the end of the log, or for so long; then goes to its end.
   * What is put aside meanwhile is read on behind when the list goes on.
   */
  private async catchUp(refusal?: Problem): Promise<void> {
    if (this.catching) return;
    this.catching = true;
    this.asleep = false;
    await this.guarded(async (signal) => {
      let next = refusal ? await this.resumed(refusal, signal) : await this.behind(this.cursor, signal);
      for (let n = pageSize; ; n += pageSize) {
        this.cursor = next.page.cursor;
        this.add([...next.lost, ...this.rowsOf(next.page)]);
        if (this.overflowed) return;
        if (next.page.upToDate) break;
        if (n >= maxCatchUp) {
          await this.leap(signal);
          break;
        }
        next = await this.behind(this.cursor, signal);
      }
      this.follow();
    });
    this.catching = false;
  }

  /** Goes to the newest events, and leaves a hole before them unless they join. */
  private async leap(signal: AbortSignal): Promise<void> {
    const page = await getPage(this.address({ limit: firstPage }), signal);
    const rows = this.rowsOf(page);
    const known = new Set([...this.items, ...this.pending].slice(-maxCatchUp).map((item) => item.key));
    const met = rows.findLastIndex((row) => known.has(row.key));
    const hole = this.hole("buffer", "more came while the list stood still than is kept aside", null, this.cursor);
    this.cursor = page.cursor;
    this.add(met < 0 ? [hole, ...rows] : rows.slice(met + 1));
  }

  /** The page behind a cursor; where the log has dropped what came there, the next that it has, and a hole before it. */
  private async behind(cursor: string, signal: AbortSignal): Promise<{ page: Page; lost: Hole[] }> {
    try {
      return { page: await getPage(this.address({ limit: pageSize, cursor }), signal), lost: [] };
    } catch (error) {
      if (error instanceof Problem && error.status === 410) return await this.resumed(error, signal);
      throw error;
    }
  }

  private async resumed({ document: { missed, resume } }: Problem, signal: AbortSignal): Promise<{ page: Page; lost: Hole[] }> {
    const place = resume ? { limit: pageSize, ...placeOf(resume) } : { limit: firstPage };
    const page = await getPage(this.address(place), signal);
    return { page, lost: [this.hole("expired", "the log dropped them before they were read", missed ?? null, "")] };
  }

  /** The server does not go on at the cursor. */
  private async refused(problem: Problem): Promise<void> {
    this.unfollow();
    if (problem.status === 410) await this.catchUp(problem);
    else await this.guarded(() => Promise.reject(problem));
  }

  /** The events of a page; its first one knows where to go back from, its last one where to go on. */
  private rowsOf(page: Page): Row[] {
    const rows = page.events.map((e) => rowOf(e, this.vcenterOf(e.source)));
    const [first] = rows;
    const last = rows.at(-1);
    if (first) first.before = page.prev ?? "";
    if (last) last.after = page.cursor;
    return rows;
  }

  private prepend(page: Page): void {
    const since = momentOf(this.query.since, serverNow());
    const rows = this.rowsOf(page).filter((row) => !(row.at < since));
    // An event that came late may stand before those of the time; not so a whole page.
    const over = rows.length === 0 && page.events.length > 0;
    this.rows.older = over ? null : page.prev && withLimit(page.prev, pageSize);
    if (this.rows.prepend(rows)) {
      this.unfollow(); // what happens would not be next to what is left
      this.dropPending();
    }
    this.changed();
  }

  private append(items: Item[]): void {
    this.rows.append(items);
    this.changed();
  }

  private hole(cause: Hole["cause"], text: string, most: number | null, from: string): Hole {
    return this.rows.hole(cause, text, most, from, serverNow());
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
      if (this.problem.status === 409) {
        this.replaced = true;
        void this.show(this.query);
      } else if (this.problem.passes && this.stream === null && this.follows && !this.overflowed) {
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
