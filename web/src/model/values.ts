import { getJSON } from "../api/client";
import type { Facets, FacetValue } from "../api/types";
import { facetFields } from "./counts";
import { Model } from "./model";
import { type Field, type Query, queryParams } from "./query";

/** How long somebody has to stop typing before the server is asked. */
const pause = 200;
const most = "12";

/** Values are those of a field that have a text, also where others are far more frequent. */
export class Values extends Model {
  field: Field | null = null;
  found: readonly FacetValue[] = [];
  private text = "";
  private stop = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Looks soon for values of a field among the events of a query; for none with null. */
  of(field: Field | null, text: string, query: Query): void {
    if (field === this.field && text === this.text) return;
    clearTimeout(this.timer);
    this.stop.abort();
    if (field !== this.field) this.found = [];
    this.field = field;
    this.text = text;
    if (field && text && facetFields.includes(field)) this.timer = setTimeout(() => void this.ask(field, query), pause);
  }

  private async ask(field: Field, query: Query): Promise<void> {
    const { signal } = (this.stop = new AbortController());
    const params = queryParams({ ...query, fields: { ...query.fields, [field]: [`*${this.text.replaceAll(",", "*")}*`] } });
    params.set("top", most);
    try {
      this.found = (await getJSON<Facets>("/facets", params, signal)).facets[field]?.values ?? [];
      this.changed();
    } catch {
      // Then the frequent ones are all there is to propose.
    }
  }
}
