import type { CloudEvent, ProblemDocument } from "./types";

export const base = "/api/v1";

/** An answer of the server that is not what was asked for, or, with status 0, no answer. */
export class Problem extends Error {
  readonly status: number;
  /** The last part of the document's type, as in "offset-expired". */
  readonly slug: string;
  readonly document: ProblemDocument;
  /** Milliseconds the server wants to be left alone for; 0 where it does not say. */
  readonly retryAfter: number;

  constructor(document: ProblemDocument, retryAfter = 0) {
    super(document.detail || document.title);
    this.name = "Problem";
    this.status = document.status;
    this.slug = document.type.slice(document.type.lastIndexOf(":") + 1);
    this.document = document;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may be answered later on. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** What went wrong, in the server's words where it has some. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem({ type: "unreachable", title: "No answer", status: 0, detail: "the server does not answer" });
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** How far the server's clock is before the browser's, in milliseconds. */
let ahead = 0;
/** Answers tell the time in seconds, and take a while; a smaller difference is none. */
const inexact = 5_000;

/** The time of the server, in milliseconds: what goes back from now does so for the server, whatever the clock of this machine says. */
export function serverNow(): number {
  return Date.now() + ahead;
}

function readClock(response: Response): void {
  const difference = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  if (Number.isFinite(difference)) ahead = Math.abs(difference) < inexact ? 0 : difference;
}

/** Asks the server, and throws a Problem for every answer that is no success. */
export async function request(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store", redirect: "error", ...init });
  } catch (error) {
    throw isAbort(error) ? error : problemOf(error);
  }
  readClock(response);
  if (response.ok) return response;
  throw await read(response);
}

async function read(response: Response): Promise<Problem> {
  const after = 1000 * Number(response.headers.get("Retry-After") ?? 0) || 0;
  try {
    const document = (await response.json()) as ProblemDocument;
    if (typeof document.type === "string") return new Problem({ ...document, status: response.status }, after);
  } catch {
    // Not of vstream, but of a proxy before it.
  }
  const title = response.statusText || "no further explanation";
  return new Problem({ type: "other", title, status: response.status, detail: `the server answered ${response.status}: ${title}` }, after);
}

export async function getJSON<T>(path: string, params?: URLSearchParams, signal?: AbortSignal): Promise<T> {
  const response = await request(urlOf(path, params), signal ? { signal } : {});
  return (await response.json()) as T;
}

/** The address of a resource below the base of the API. */
export function urlOf(path: string, params?: URLSearchParams): string {
  const query = params?.toString() ?? "";
  return base + path + (query ? "?" + query : "");
}

/** A page of events, oldest first. */
export interface Page {
  events: CloudEvent[];
  /** Where to go on; ~ while the log has never held an event. */
  cursor: string;
  upToDate: boolean;
  /** Addresses of the pages before and after, where there are some. */
  prev: string | null;
  next: string | null;
}

export async function getPage(url: string, signal: AbortSignal): Promise<Page> {
  const response = await request(url, { signal });
  const events = response.status === 204 ? [] : ((await response.json()) as CloudEvent[]);
  const links = linksOf(response.headers.get("Link") ?? "");
  return {
    events,
    cursor: response.headers.get("Stream-Next-Cursor") ?? "~",
    upToDate: response.headers.get("Stream-Up-To-Date") === "true",
    prev: links.get("prev") ?? null,
    next: links.get("next") ?? null,
  };
}

/** Reads a Link header (RFC 8288) as this server writes it: rel to address. */
export function linksOf(header: string): Map<string, string> {
  const links = new Map<string, string>();
  for (const match of header.matchAll(/<([^>]*)>;\s*rel="([a-z]+)"/g)) {
    links.set(match[2] ?? "", match[1] ?? "");
  }
  return links;
}
