import type { Facets } from "../api/types";
import { type Field, type Query, writable } from "./query";

/** A value of a field as the facets show it. */
export interface Value {
  value: string;
  /** How many events have it; null where nobody has counted it. */
  count: number | null;
  /** Whether the query asks for it, or for events without it. */
  state: "in" | "out" | "";
}

/** Values of a field, and how many more there are. */
export interface Values {
  values: Value[];
  others: number;
}

const severities = ["error", "warning", "info", "user"];

/**
 * What there is to choose from of a field: the values that most events have, and those that the
 * query names. Severities are always the same, in the same order.
 */
export function valuesOf(field: Field, facets: Facets, query: Query): Values {
  const facet = facets.facets[field] ?? { values: [], others: 0 };
  const named = new Map((query.fields[field] ?? []).map((v) => (v.startsWith("!") ? [v.slice(1), "out" as const] : [v, "in" as const])));
  const values = new Map<string, Value>();
  if (field === "severity") for (const value of severities) values.set(value, { value, count: 0, state: stateOf(named, value) });
  for (const { value, count } of facet.values) values.set(value, { value, count, state: stateOf(named, value) });
  const found = new Set([...values.keys()].map(keyOf));
  const chosen = [...named.values()].filter((state) => state === "in").length;
  for (const [value, state] of named) {
    if (found.has(keyOf(value))) continue;
    const whole = facet.others === 0 && !value.includes("*");
    values.set(value, { value, count: state === "in" && chosen === 1 ? facets.events : whole ? 0 : null, state });
  }
  return { values: [...values.values()], others: facet.others };
}

/** Names ignore case, and a comma is written as *. */
function keyOf(value: string): string {
  return writable(value).toLowerCase();
}

function stateOf(named: Map<string, "in" | "out">, value: string): Value["state"] {
  for (const [name, state] of named) if (keyOf(name) === keyOf(value)) return state;
  return "";
}

/**
 * The values in the order they had before, for somebody who points at one of them: those that
 * are gone stay, and new ones come to the end, where all are shown or the query names them.
 */
export function held(before: readonly Value[], now: Values, all: boolean): Values {
  const values = new Map(now.values.map((v) => [v.value, v]));
  const gone = (value: string): Value => ({ value, count: now.others === 0 ? 0 : null, state: "" });
  const kept = before.map(({ value }) => values.get(value) ?? gone(value));
  const known = new Set(before.map((v) => v.value));
  return { values: [...kept, ...now.values.filter((v) => !known.has(v.value) && (all || v.state !== ""))], others: now.others };
}

/** The value as the query has it, to be dropped again. */
export function namedAs(query: Query, field: Field, value: string, state: "in" | "out"): string {
  const wanted = (state === "out" ? "!" : "") + keyOf(value);
  return (query.fields[field] ?? []).find((v) => v.toLowerCase() === wanted) ?? wanted;
}

/** Whether the query asks for this value of the field and no other. */
export function isOnly(query: Query, field: Field, value: string): boolean {
  const values = query.fields[field] ?? [];
  return values.length === 1 && values[0]?.toLowerCase() === keyOf(value);
}

/** What is wrong with counts, in a sentence; empty where they are complete. */
export function completenessWords(facets: Pick<Facets, "complete" | "completeSince">, clock: (iso: string) => string): string {
  if (facets.complete) return "";
  return facets.completeSince ? `Counts are complete since ${clock(facets.completeSince)}; of what was before, not all is counted.` : "Counts are not complete yet: the server is still looking through its log.";
}

/** How many fields of the facets the query limits, for the button that opens them. */
export function limits(query: Query, of: readonly Field[]): number {
  return of.filter((f) => query.fields[f]?.length).length;
}

