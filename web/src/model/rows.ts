import { beforeOf, type Hole, isHole, type Item, type Row } from "./row";

/** How many rows are kept; beyond it those farthest away go, and are loaded again when looked for. */
export const maxItems = 100_000;

/** Rows are the items of a list, and the addresses of the pages that go on at both ends. */
export class Rows {
  /** Oldest first. Changed in place; oldEnd tells by how much the first item has moved. */
  items: Item[] = [];
  /** Items ever added before the first one, less those ever dropped there; what fills a hole counts. */
  oldEnd = 0;
  /** The pages before the first item and behind the last one; null where there is none. */
  older: string | null = null;
  newer: string | null = null;
  private holes = 0;

  /** Before and behind make the addresses of the pages before a position, and behind a cursor. */
  constructor(
    private readonly before: (position: string) => string,
    private readonly behind: (cursor: string) => string,
  ) {}

  /** Items ever added behind the last one, less those ever dropped there. */
  get newEnd(): number {
    return this.items.length - this.oldEnd;
  }

  /** Begins anew, without any. */
  clear(): void {
    this.items = [];
    this.oldEnd = 0;
    this.older = null;
    this.newer = null;
  }

  /** Puts rows before the first item, and reports whether newer ones had to go for them. */
  prepend(rows: Row[]): boolean {
    this.items = [...rows, ...this.items];
    this.oldEnd += rows.length;
    return this.items.length > maxItems && this.trimNewest();
  }

  append(items: Item[]): void {
    for (const item of items) this.items.push(item);
    if (this.items.length > maxItems) this.trimOldest();
  }

  /**
   * Puts items where a hole was that is not there any more, or before what is left of it. Rows
   * are what the server has from the hole on, of which those up to the next row of the list
   * were missing; atEnd tells that it has no more.
   */
  fill(hole: Hole, lost: Hole[], rows: Row[], atEnd: boolean): void {
    const at = this.items.indexOf(hole);
    if (at < 0) return;
    for (const l of lost) l.at = hole.at;
    const end = this.items.slice(at + 1).find((item): item is Row => !isHole(item));
    const met = rows.findIndex((row) => row.key === end?.key);
    const missed = [...lost, ...(met >= 0 ? rows.slice(0, met) : rows)];
    const filled = met >= 0 || atEnd;
    this.items.splice(at, filled ? 1 : 0, ...missed);
    this.oldEnd += missed.length - (filled ? 1 : 0);
  }

  /** A hole to be put behind the newest item, at the time of that, or now without one. */
  hole(cause: Hole["cause"], text: string, most: number | null, from: string, now: number): Hole {
    this.holes++;
    return { key: `hole-${this.holes}`, cause, text, most, at: this.items.at(-1)?.at ?? now, from, loading: false };
  }

  /** Drops the oldest tenth, up to a row that one can go back from. */
  private trimOldest(): void {
    for (let n = Math.floor(maxItems / 10); n < this.items.length; n++) {
      const first = this.items[n] as Item;
      if (isHole(first)) continue;
      const before = beforeOf(first);
      if (!first.before && !before) continue;
      this.older = first.before || this.before(before);
      this.items.splice(0, n);
      this.oldEnd -= n;
      return;
    }
  }

  /** Drops the newest tenth, down to a row that one can go on from. */
  private trimNewest(): boolean {
    for (let n = Math.ceil(0.9 * maxItems); n > 0; n--) {
      const last = this.items[n - 1] as Item;
      if (isHole(last) || !last.after) continue;
      this.newer = this.behind(last.after);
      this.items.length = n;
      return true;
    }
    return false;
  }
}
