import { getJSON, getPage, isAbort, serverNow, urlOf } from "../api/client";
import type { Facets, FacetValue, Histogram } from "../api/types";
import { Poll } from "./poll";
import { everything, type Field, momentOf, type Query, queryParams, sameQuery } from "./query";

/** The fields that the server counts values of. */
export const facetFields: Field[] = ["severity", "type", "vm", "host", "cluster", "datacenter", "user", "vcenter"];

/** How often a past is counted again, which changes only where events come late or are dropped. */
const pastInterval = 60_000;
/** How often it is asked when the log begins. */
const beginsInterval = 60_000;
/** Enough for bars of some pixels, and not at the edge of a width for the times that people choose. */
const mostBuckets = 150;

/** A CountsPoll counts the events of a query, of which one is shown at a time. */
abstract class CountsPoll<T> extends Poll<T> {
  query: Query = everything;
  /** The query that value is about; null before there is one. */
  counted: Query | null = null;

  constructor(private readonly liveInterval: number) {
    super(liveInterval);
  }

  /** Whether value is about another query than the one that is shown, or there is none. */
  get stale(): boolean {
    return this.counted === null || !sameQuery(this.counted, this.query);
  }

  /** Counts another query, at once. */
  show(query: Query): void {
    this.query = query;
    this.interval = momentOf(query.until, serverNow()) < serverNow() ? pastInterval : this.liveInterval;
    this.problem = null;
    this.now();
  }

  protected override took(_value: T): void {
    this.counted = this.query;
  }
}

/** HistogramPoll is how many events of the query there were when, counted by the server. */
export class HistogramPoll extends CountsPoll<Histogram> {
  /** When the oldest event that the log keeps was; null where that is not asked for, or not known. */
  begins: number | null = null;
  private beginsAt = 0;

  constructor() {
    super(3_000);
  }

  protected async ask(signal: AbortSignal): Promise<Histogram> {
    const params = queryParams(this.query);
    params.set("buckets", String(mostBuckets));
    const histogram = await getJSON<Histogram>("/histogram", params, signal);
    if (this.query.since && Date.now() - this.beginsAt > beginsInterval) await this.askBegins(signal);
    return histogram;
  }

  private async askBegins(signal: AbortSignal): Promise<void> {
    try {
      const { events } = await getPage(urlOf("/events", new URLSearchParams({ offset: "earliest", limit: "1" })), signal);
      this.begins = events[0] ? Date.parse(events[0].time) : null;
      this.beginsAt = Date.now();
    } catch (error) {
      if (isAbort(error)) throw error; // else the counts do without
    }
  }
}

/**
 * FacetsPoll is which values the events of the query have. The values of a field that the query
 * limits are those it would have without that limit, so that there is something to choose from.
 */
export class FacetsPoll extends CountsPoll<Facets> {
  /** How many values of a field are asked for. */
  top = 10;

  constructor() {
    super(5_000);
  }

  /** Asks for as many values as the server gives, from now on. */
  more(): void {
    if (this.top === 100) return;
    this.top = 100;
    this.now();
  }

  protected override get questions(): number {
    return 1 + this.limited.length;
  }

  private get limited(): Field[] {
    return facetFields.filter((f) => this.query.fields[f]?.length);
  }

  protected async ask(signal: AbortSignal): Promise<Facets> {
    const { query } = this;
    const wide = this.limited.map(async (field) => {
      const { [field]: _, ...others } = query.fields;
      return { field, facet: (await this.count({ ...query, fields: others }, signal)).facets[field] };
    });
    const [all, ...without] = await Promise.all([this.count(query, signal), ...wide]);
    for (const { field, facet } of without) {
      if (facet) all.facets[field] = joined(facet, all.facets[field]?.values ?? []);
    }
    return all;
  }

  private count(query: Query, signal: AbortSignal): Promise<Facets> {
    const params = queryParams(query);
    params.set("top", String(this.top));
    return getJSON<Facets>("/facets", params, signal);
  }
}

/** The values of a field, and those that were chosen of it but are too rare to be among them. */
export function joined(wide: { values: FacetValue[]; others: number }, chosen: FacetValue[]): { values: FacetValue[]; others: number } {
  const known = new Set(wide.values.map((v) => v.value));
  const rare = chosen.filter((v) => !known.has(v.value));
  return { values: [...wide.values, ...rare], others: Math.max(0, wide.others - rare.length) };
}

/** How many events a query has, without looking at any. */
export async function countOf(query: Query, signal: AbortSignal): Promise<number> {
  const params = queryParams(query);
  params.set("top", "1");
  return (await getJSON<Facets>("/facets", params, signal)).events;
}
