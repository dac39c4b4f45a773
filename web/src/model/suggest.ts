import type { Facets } from "../api/types";
import { type Field, fieldNames, fields } from "./query";
import { readTyped } from "./typed";

/** Something that the search field proposes: to name a field, or a value of one. */
export type Suggestion = { is: "field"; field: Field; text: string } | { is: "value"; field: Field; value: string; not: boolean; count: number | null };

const most = 12;

const fixed: Partial<Record<Field, string[]>> = {
  severity: ["error", "warning", "info", "user"],
  eventclass: ["event", "eventex", "extendedevent", "unknown"],
};

/** What a text could be meant to become, the likeliest first. */
export function suggestionsFor(text: string, facets: Facets | null): Suggestion[] {
  const { open, q } = readTyped(text);
  if (open) return valuesOf(open.field, open.value, open.not, facets).slice(0, most);
  const begun = q.toLowerCase();
  const named: Suggestion[] = fields
    .filter((f) => f.startsWith(begun) || fieldNames[f].toLowerCase().startsWith(begun))
    .map((field) => ({ is: "field", field, text: field + ":" }));
  if (begun.length < 2) return named.slice(0, most);
  const values = fields.flatMap((f) => valuesOf(f, begun, false, facets));
  values.sort((a, b) => (b.count ?? 0) - (a.count ?? 0));
  return [...named, ...values].slice(0, most);
}

/** The values of a field that have a text, as often as they are, those that begin with it first. */
function valuesOf(field: Field, text: string, not: boolean, facets: Facets | null): Extract<Suggestion, { is: "value" }>[] {
  const begun = text.toLowerCase();
  const counted = facets?.facets[field]?.values ?? [];
  const known = [...counted, ...(fixed[field] ?? []).filter((v) => !counted.some((c) => c.value === v)).map((value) => ({ value, count: null }))];
  return known
    .filter((v) => v.value.toLowerCase().includes(begun))
    .sort((a, b) => Number(b.value.toLowerCase().startsWith(begun)) - Number(a.value.toLowerCase().startsWith(begun)))
    .map((v) => ({ is: "value", field, value: v.value, not, count: v.count }));
}
