import { getJSON } from "../api/client";
import type { Facets, Histogram } from "../api/types";
import { Poll } from "./poll";
import { everything, type Field, fields, filterParams, type Query, queryParams } from "./query";

/** The fields that the server counts values of. */
export const facetFields: Field[] = ["severity", "type", "vm", "host", "cluster", "datacenter", "user", "vcenter"];

/** HistogramPoll is how many events of the query there were when, counted by the server. */
export class HistogramPoll extends Poll<Histogram> {
  private params = new URLSearchParams();

  constructor() {
    super(3_000);
  }

  show(query: Query): void {
    this.params = queryParams(query);
    this.now();
  }

  protected ask(signal: AbortSignal): Promise<Histogram> {
    const params = new URLSearchParams(this.params);
    params.set("buckets", "120");
    return getJSON<Histogram>("/histogram", params, signal);
  }
}

/**
 * FacetsPoll is which values the events of the query have. The values of a field that the query
 * limits are those it would have without that limit, so that there is something to choose from.
 */
export class FacetsPoll extends Poll<Facets> {
  private query: Query = everything;
  /** How many values of a field are asked for. */
  top = 10;

  constructor() {
    super(5_000);
  }

  show(query: Query): void {
    this.query = query;
    this.now();
  }

  protected async ask(signal: AbortSignal): Promise<Facets> {
    const all = await this.count(this.query, signal);
    const limited = facetFields.filter((f) => this.query.fields[f]?.length);
    await Promise.all(
      limited.map(async (field) => {
        const { [field]: _, ...others } = this.query.fields;
        const wide = await this.count({ ...this.query, fields: others }, signal);
        const facet = wide.facets[field];
        if (facet) all.facets[field] = facet;
      }),
    );
    return all;
  }

  private count(query: Query, signal: AbortSignal): Promise<Facets> {
    const params = queryParams(query);
    params.set("top", String(this.top));
    return getJSON<Facets>("/facets", params, signal);
  }
}

/** How many events a query has, without looking at any. */
export async function countOf(query: Query, signal: AbortSignal): Promise<number> {
  const params = queryParams(query);
  params.set("top", "1");
  return (await getJSON<Facets>("/facets", params, signal)).events;
}

/** Whether the query asks for anything but all events. */
export function isFiltered(query: Query): boolean {
  return filterParams(query).size > 0 || fields.some((f) => query.fields[f]?.length);
}
