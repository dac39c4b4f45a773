import type { Facets, FacetValue } from "../api/types";
import { type Field, fieldNames, fields } from "./query";
import { readTyped } from "./typed";

/** Something that the search field proposes: to name a field, or a value of one. */
export type Suggestion = { is: "field"; field: Field; text: string } | { is: "value"; field: Field; value: string; not: boolean; count: number | null };

const most = 12;

const fixed: Partial<Record<Field, string[]>> = {
  severity: ["error", "warning", "info", "user"],
  eventclass: ["event", "eventex", "extendedevent", "unknown"],
};

/**
 * What a text could be meant to become, the likeliest first. The more values there are of the
 * field that is typed, the better.
 */
export function suggestionsFor(text: string, facets: Facets | null, more: { field: Field | null; found: readonly FacetValue[] }): Suggestion[] {
  const { open, q } = readTyped(text);
  if (open) {
    const frequent = facets?.facets[open.field]?.values ?? [];
    const others = more.field === open.field ? more.found.filter((v) => !frequent.some((f) => f.value === v.value)) : [];
    return valuesOf(open.field, open.value, open.not, [...frequent, ...others]).slice(0, most);
  }
  const begun = q.toLowerCase();
  const named: Suggestion[] = fields
    .filter((f) => f.startsWith(begun) || fieldNames[f].toLowerCase().startsWith(begun))
    .map((field) => ({ is: "field", field, text: field + ":" }));
  if (begun.length < 2) return named.slice(0, most);
  const values = fields.flatMap((f) => valuesOf(f, begun, false, facets?.facets[f]?.values ?? []));
  values.sort((a, b) => (b.count ?? 0) - (a.count ?? 0));
  return [...named, ...values].slice(0, most);
}

/** The values of a field that have a text, as often as they are, those that begin with it first. */
function valuesOf(field: Field, text: string, not: boolean, counted: readonly FacetValue[]): Extract<Suggestion, { is: "value" }>[] {
  const begun = text.toLowerCase();
  const known = [...counted, ...(fixed[field] ?? []).filter((v) => !counted.some((c) => c.value === v)).map((value) => ({ value, count: null }))];
  return known
    .filter((v) => v.value.toLowerCase().includes(begun))
    .sort((a, b) => Number(b.value.toLowerCase().startsWith(begun)) - Number(a.value.toLowerCase().startsWith(begun)))
    .map((v) => ({ is: "value", field, value: v.value, not, count: v.count }));
}
