// Which events the page is about. The address of the page has the parameters of the API, so
// that what one can say to the one can be said to the other.

export const fields = [
  "severity", "type", "vm", "host", "cluster", "datacenter", "datastore", "network", "user", "vcenter", "chain", "eventclass",
] as const;
export type Field = (typeof fields)[number];

export const fieldNames: Record<Field, string> = {
  severity: "Severity", type: "Event type", vm: "VM", host: "Host", cluster: "Cluster", datacenter: "Datacenter",
  datastore: "Datastore", network: "Network", user: "User", vcenter: "vCenter", chain: "Chain", eventclass: "Event class",
};

export interface Query {
  /** The values of each field; one that begins with ! is excluded. */
  readonly fields: Readonly<Partial<Record<Field, readonly string[]>>>;
  /** A text to be found in an event. */
  readonly q: string;
  /** An expression in CEL. */
  readonly filter: string;
  /** RFC 3339 or a duration back, as in 15m; empty is without a bound. */
  readonly since: string;
  /** RFC 3339; empty is now, and goes on. */
  readonly until: string;
}

export const everything: Query = { fields: {}, q: "", filter: "", since: "", until: "" };

/** What of a query is in one chip. */
export type Part = { field: Field; value: string } | { q: true } | { filter: true };

function isField(name: string): name is Field {
  return (fields as readonly string[]).includes(name);
}

/** A value as a query has it: commas separate values, and ! leaves one out, so a name that has such is matched with *. */
export function writable(value: string): string {
  return value.replaceAll(",", "*").replace(/^!/, "*");
}

/** Reads a query from the parameters of an address, and names those it does not know. */
export function parseQuery(params: URLSearchParams): { query: Query; unknown: string[] } {
  const of: Partial<Record<Field, string[]>> = {};
  const texts = { q: "", filter: "", since: "", until: "" };
  const unknown: string[] = [];
  for (const [name, value] of params) {
    if (isField(name)) {
      const values = value.split(",").map((v) => v.trim()).filter((v) => v !== "" && v !== "!");
      if (values.length > 0) of[name] = [...new Set([...(of[name] ?? []), ...values])];
    } else if (Object.hasOwn(texts, name)) {
      texts[name as keyof typeof texts] = value.trim();
    } else if (!name.startsWith("_")) {
      unknown.push(name);
    }
  }
  return { query: { fields: of, ...texts }, unknown };
}

/** The filters of a query, without its time, as the API and the address have them. */
export function filterParams(query: Query): URLSearchParams {
  const params = new URLSearchParams();
  for (const field of fields) {
    const values = query.fields[field];
    if (values && values.length > 0) params.set(field, values.join(","));
  }
  if (query.q) params.set("q", query.q);
  if (query.filter) params.set("filter", query.filter);
  return params;
}

/** The whole query as the API and the address have it. */
export function queryParams(query: Query): URLSearchParams {
  const params = filterParams(query);
  if (query.since) params.set("since", query.since);
  if (query.until) params.set("until", query.until);
  return params;
}

function withField(query: Query, field: Field, values: readonly string[]): Query {
  const of = { ...query.fields };
  if (values.length > 0) of[field] = values;
  else delete of[field];
  return { ...query, fields: of };
}

/** Only events with this value. */
export function only(query: Query, field: Field, value: string): Query {
  return withField(query, field, [writable(value)]);
}

/** No events with this value. */
export function without(query: Query, field: Field, value: string): Query {
  const excluded = (query.fields[field] ?? []).filter((v) => v.startsWith("!"));
  return withField(query, field, [...new Set([...excluded, "!" + writable(value)])]);
}

/** Adds a value to those that events may have, or takes it away. */
export function toggle(query: Query, field: Field, value: string): Query {
  const wanted = writable(value);
  const values = query.fields[field] ?? [];
  if (values.includes(wanted)) return withField(query, field, values.filter((v) => v !== wanted));
  return withField(query, field, [...values.filter((v) => !v.startsWith("!")), wanted]);
}

/** The query without one of its parts. */
export function drop(query: Query, part: Part): Query {
  if ("q" in part) return { ...query, q: "" };
  if ("filter" in part) return { ...query, filter: "" };
  return withField(query, part.field, (query.fields[part.field] ?? []).filter((v) => v !== part.value));
}

/** The filters of a query one by one, in the order of the fields. */
export function partsOf(query: Query): Part[] {
  const parts: Part[] = [];
  for (const field of fields) {
    for (const value of query.fields[field] ?? []) parts.push({ field, value });
  }
  if (query.q) parts.push({ q: true });
  if (query.filter) parts.push({ filter: true });
  return parts;
}

export function sameQuery(a: Query, b: Query): boolean {
  return queryParams(a).toString() === queryParams(b).toString();
}

/** Whether the query ends at a time, so that nothing new can come. */
export function isHistorical(query: Query): boolean {
  return query.until !== "";
}

const units: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

/** The moment, in milliseconds, that a since or until means now; NaN if it cannot be read. */
export function momentOf(text: string, now: number): number {
  const back = /^(?:\d+(?:\.\d+)?[smhdw])+$/.test(text);
  if (back) {
    let sum = 0;
    for (const [, n, unit] of text.matchAll(/(\d+(?:\.\d+)?)([smhdw])/g)) sum += Number(n) * (units[unit ?? ""] ?? NaN);
    return new Date(now - sum).getTime(); // NaN where no date is so far away
  }
  if (/^\d+$/.test(text)) return new Date(text.length > 11 ? Number(text) : 1000 * Number(text)).getTime();
  return Date.parse(text);
}
