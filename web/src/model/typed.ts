// What somebody means who types into the search field.
import { type Field, fieldNames, fields, only, type Query } from "./query";

export type Kind = "text" | "cel";

/** What CEL calls the parts of an event. */
const variables = "id|source|message|type|eventclass|severity|user|vm|host|cluster|datacenter|datastore|network|vcenter|time|data";

const signs = [
  /[=!]=|&&|\|\|/, //
  new RegExp(`\\b(?:${variables})(?:\\.\\w+)*\\s*(?:[<>]|=\\s*["'])`),
  new RegExp(`\\b(?:${variables})(?:\\.\\w+)*\\.\\w+\\(`),
  new RegExp(`\\b(?:${variables})(?:\\.\\w+)*\\s+in\\s*\\[`),
  /["'\]]\s+in\s+data\b/,
  /\b(?:has|size)\(\s*data\b/,
];

/** Takes a text for an expression in CEL if it has what only expressions have; none begins as vm: does. */
export function kindOf(text: string): Kind {
  const filter = /^\s*([\w ]+):/.exec(text);
  if (filter && fieldCalled(filter[1] ?? "")) return "text";
  return signs.some((sign) => sign.test(text)) ? "cel" : "text";
}

const shortNames: Record<string, Field> = { dc: "datacenter", ds: "datastore", net: "network", event: "type", class: "eventclass" };

/** The field that somebody calls so: as the API, as the page, or as the command line. */
export function fieldCalled(name: string): Field | null {
  const wanted = name.trim().toLowerCase();
  return fields.find((f) => f === wanted || fieldNames[f].toLowerCase() === wanted) ?? shortNames[wanted] ?? null;
}

const words = [...new Set([...fields, ...fields.map((f) => fieldNames[f].toLowerCase()), ...Object.keys(shortNames)])].sort((a, b) => b.length - a.length);
const begins = new RegExp(`(?<=^|\\s)(${words.join("|")}):`, "gi");

/** A value that is wanted of a field, or not. */
export interface Wanted {
  field: Field;
  value: string;
  not: boolean;
}

export interface Typed {
  wanted: Wanted[];
  /** A field that is named last, with a value that may go on. */
  open: Wanted | null;
  q: string;
}

/**
 * Reads a text such as «disk vm:web-07 user:!root»: values go on up to the next name of a field,
 * and have their commas between several, unless they are in quotes. All in quotes is a text.
 */
export function readTyped(text: string): Typed {
  const whole = text.trim();
  const quoted = unquoted(whole);
  if (quoted !== null) return { wanted: [], open: null, q: quoted };
  const starts = [...text.matchAll(begins)].filter((m) => !insideQuotes(text, m.index));
  const typed: Typed = { wanted: [], open: null, q: text.slice(0, starts[0]?.index ?? text.length).trim() };
  starts.forEach((start, i) => {
    const field = fieldCalled(start[1] ?? "");
    if (!field) return;
    let value = text.slice(start.index + start[0].length, starts[i + 1]?.index ?? text.length).trim();
    const not = value.startsWith("!");
    if (not) value = value.slice(1).trim();
    if (i === starts.length - 1) typed.open = { field, value: value.replace(/^"|"$/g, ""), not };
    const name = unquoted(value);
    const values = name === null ? value.split(",") : [name];
    for (const one of values.map((v) => v.trim())) {
      const bare = one.replace(/^!/, "");
      if (bare) typed.wanted.push({ field, value: name ?? bare, not: not || (name === null && one.startsWith("!")) });
    }
  });
  return typed;
}

function unquoted(text: string): string | null {
  return /^"[^"]*"$/.test(text) && text.length > 2 ? text.slice(1, -1) : null;
}

/** Quotes around values begin right behind a colon or its !. */
function insideQuotes(text: string, at: number): boolean {
  for (const m of text.matchAll(/:\s*!?"[^"]*"/g)) if (at > m.index && at < m.index + m[0].length) return true;
  return false;
}

/** The query with a value more that events may have, or may not. */
export function want(query: Query, { field, value, not }: Wanted): Query {
  const [written = ""] = only(query, field, value).fields[field] ?? [];
  const with_ = not ? "!" + written : written;
  const opposite = not ? written : "!" + written;
  const others = (query.fields[field] ?? []).filter((v) => v !== with_ && v !== opposite);
  return { ...query, fields: { ...query.fields, [field]: [...others, with_] } };
}

/** The query with a value excluded that was wanted, or the other way round, at its place. */
export function flip(query: Query, part: { field: Field; value: string }): Query {
  const turned = part.value.startsWith("!") ? part.value.slice(1) : "!" + part.value;
  const values = (query.fields[part.field] ?? []).map((v) => (v === part.value ? turned : v));
  return { ...query, fields: { ...query.fields, [part.field]: [...new Set(values)] } };
}
