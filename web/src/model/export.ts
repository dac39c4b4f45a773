// Events to take along: as a link that streams them, as JSON, and as a table.
import { getPage, serverNow, urlOf } from "../api/client";
import type { CloudEvent } from "../api/types";
import { filterParams, momentOf, type Query } from "./query";
import { isHole, type Item } from "./row";

/** The address of all events that match up to now, a line each; it ends by itself. */
export function allAddress(query: Query, now: number): string {
  const params = filterParams(query);
  params.set("watch", "true");
  params.set("format", "ndjson");
  if (query.since) params.set("since", query.since);
  else params.set("offset", "earliest");
  params.set("until", query.until || new Date(now).toISOString());
  return urlOf("/events", params);
}

/** So many of the newest events that match, oldest first, or fewer if there are no more. */
export async function newestEvents(query: Query, most: number, signal: AbortSignal): Promise<CloudEvent[]> {
  const since = momentOf(query.since, serverNow());
  const params = filterParams(query);
  params.set("limit", String(most));
  if (query.until) params.set("until", query.until);
  let found: CloudEvent[] = [];
  for (let url: string | null = urlOf("/events", params); url !== null && found.length < most; ) {
    const page = await getPage(url, signal);
    const wanted = page.events.filter((e) => !(Date.parse(e.time) < since));
    found = [...wanted, ...found];
    url = wanted.length < page.events.length ? null : page.prev;
  }
  return found.slice(-most);
}

const columns = ["time", "vcenter", "id", "severity", "type", "target", "vm", "host", "cluster", "datacenter", "user", "message", "chain"] as const;

/** What is in the list as CSV (RFC 4180), oldest first, the way spreadsheets read it. */
export function csvOf(items: readonly Item[]): string {
  const lines = [columns.join(",")];
  for (const item of items) if (!isHole(item)) lines.push(columns.map((c) => cell(String(item[c]))).join(","));
  return "\ufeff" + lines.map((line) => line + "\r\n").join("");
}

/** A cell that a spreadsheet does not take for a formula, whatever a name is made of. */
export function cell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** vstream-events-20261122T145133Z.csv */
export function fileName(now: number, ending: string): string {
  return `vstream-events-${new Date(now).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z.${ending}`;
}

/** Gives a text to the browser as a file. */
export function save(text: string, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
