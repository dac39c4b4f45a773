// The same events for other programs: commands that ask the API for what the page shows.
import { type Field, fields, filterParams, isHistorical, momentOf, type Query } from "./query";

/** A way to have the same events: what it is called, what for, and the commands. */
export interface Way {
  name: string;
  hint: string;
  code: string;
}

/** How many events a page has at most. */
const page = 1_000;

/** Quotes a text as one word for sh. */
export function sh(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Quotes a text for PowerShell, which takes typographic quotes for quotes. */
export function powerShell(text: string): string {
  return `'${text.replace(/['‘’‚‛]/g, "$&$&")}'`;
}

/** Quotes a text for JavaScript, also within a page. */
export function javaScript(text: string): string {
  return JSON.stringify(text).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** All ways, for the server at an origin as https://vstream.example.com. */
export function waysOf(query: Query, origin: string, now: number): Way[] {
  const historical = isHistorical(query);
  const what = historical ? `At most ${page} events of the time that is shown.` : `The events ${query.since ? "since then, and those " : ""}that happen, until stopped.`;
  return [
    { name: "curl", hint: what, code: curl(query, origin, now) },
    { name: "vstream", hint: historical ? "All events of the time that is shown." : `${what.slice(0, -1)}; comes again by itself.`, code: vstream(query, origin, now) },
    { name: historical ? "JavaScript" : "EventSource", hint: historical ? what : "For pages of the same origin; comes again by itself.", code: eventSource(query, origin, now) },
    { name: "PowerShell", hint: what, code: powerShellCode(query, origin, now) },
  ];
}

/** The parameters for the events: a watch, or of what is over, a page. */
export function paramsOf(query: Query, now: number): URLSearchParams {
  const params = filterParams(query);
  if (query.since) params.set("since", fixedTime(query.since, now));
  if (query.until) params.set("until", fixedTime(query.until, now));
  if (isHistorical(query)) params.set("limit", String(page));
  else params.set("watch", "true");
  return params;
}

/** Times in seconds or milliseconds are for programs; RFC 3339 is read everywhere. */
function fixedTime(text: string, now: number): string {
  const at = /^\d+$/.test(text) ? momentOf(text, now) : NaN;
  return Number.isFinite(at) ? new Date(at).toISOString() : text;
}

export function curl(query: Query, origin: string, now: number): string {
  const params = [...paramsOf(query, now)].map(([name, value]) => `--data-urlencode ${sh(`${name}=${value}`)}`);
  return [`curl -sS${isHistorical(query) ? "" : "N"} -G ${sh(origin + "/api/v1/events")}`, ...params].join(" \\\n  ");
}

const flags: Partial<Record<Field, string>> = { datacenter: "dc", datastore: "ds", network: "net" };

/** The command line of vstream. It has no flag to leave a chain out, so an expression does. */
export function vstream(query: Query, origin: string, now: number): string {
  const words: string[] = [];
  const flag = (name: string, value: string) => words.push(`--${name} ${sh(value)}`);
  let expression = query.filter;
  for (const field of fields) {
    const values = query.fields[field] ?? [];
    if (values.length === 0) continue;
    if (field === "eventclass") words.push(`-x ${sh("eventclass=" + values.join(","))}`);
    else if (field !== "chain") flag(flags[field] ?? field, values.join(","));
    else {
      const wanted = values.filter((v) => !v.startsWith("!"));
      if (wanted.length > 0) flag("chain", wanted.join(","));
      for (const v of values) {
        if (v.startsWith("!")) expression = (expression ? `(${expression}\n) && ` : "") + `data.ChainId != ${v.slice(1)}`;
      }
    }
  }
  if (query.q) flag("grep", query.q);
  if (expression) flag("filter", expression);
  if (query.since) flag("since", fixedTime(query.since, now));
  if (query.until) flag("until", fixedTime(query.until, now));
  if (isHistorical(query) && !query.since) words.push("--all");
  return [`vstream ${isHistorical(query) ? "get" : "tail"} --server ${sh(origin)}`, ...words].join(" \\\n  ");
}

function eventSource(query: Query, origin: string, now: number): string {
  const params = paramsOf(query, now);
  params.delete("watch"); // which an EventSource is anyway
  const url = javaScript(`${origin}/api/v1/events${params.size > 0 ? "?" + params.toString() : ""}`);
  if (isHistorical(query)) {
    return [
      `const response = await fetch(${url});`,
      `if (!response.ok) throw new Error((await response.json()).detail);`,
      `const events = response.status === 204 ? [] : await response.json();`,
      `for (const e of events) console.log(e.time, e.data.FullFormattedMessage);`,
    ].join("\n");
  }
  return [
    `const events = new EventSource(${url});`,
    `events.onmessage = (e) => console.log(JSON.parse(e.data).data.FullFormattedMessage);`,
    `events.addEventListener("problem", (e) => console.warn(JSON.parse(e.data).data.detail));`,
  ].join("\n");
}

/** Invoke-RestMethod does not stream, and Windows PowerShell misreads UTF-8, so .NET reads. */
function powerShellCode(query: Query, origin: string, now: number): string {
  const url = powerShell(`${origin}/api/v1/events?${paramsOf(query, now).toString()}`);
  const begin = [`Add-Type -AssemblyName System.Net.Http`, `$client = [System.Net.Http.HttpClient]::new()`];
  const show = `"$($_.time) $($_.data.FullFormattedMessage)"`;
  if (isHistorical(query)) {
    return [...begin, `$text = $client.GetStringAsync(${url}).GetAwaiter().GetResult()`, `($text | ConvertFrom-Json) | ForEach-Object { ${show} }`].join("\n");
  }
  return [
    ...begin,
    `$stream = $client.GetStreamAsync(${url}).GetAwaiter().GetResult()`,
    `$lines = [System.IO.StreamReader]::new($stream)`,
    `while ($null -ne ($line = $lines.ReadLine())) { $line | ConvertFrom-Json | ForEach-Object { ${show} } }`,
  ].join("\n");
}
