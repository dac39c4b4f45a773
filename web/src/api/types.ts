// The shapes of the HTTP API, as docs/api.md describes them; only what the page uses.

export type Severity = "info" | "warning" | "error" | "user";

/** A CloudEvent, as every form of the API gives it. */
export interface CloudEvent {
  specversion: string;
  id: string;
  source: string;
  type: string;
  time: string;
  eventclass: string;
  severity?: string;
  truncated?: boolean;
  data: EventData;
  [extension: string]: unknown;
}

/** A reference to an object of the inventory, with the name it had. */
export type Named = { Name: string } & Record<string, unknown>;

/** What all events of vSphere have; each class has more. */
export interface EventData {
  Key: number;
  ChainId: number;
  CreatedTime: string;
  UserName: string;
  Datacenter: Named | null;
  ComputeResource: Named | null;
  Host: Named | null;
  Vm: Named | null;
  Ds: Named | null;
  Net: Named | null;
  Dvs: Named | null;
  FullFormattedMessage: string;
  EventTypeId?: string;
  [member: string]: unknown;
}

export interface Range {
  earliest: number;
  latest: number;
}

export type VCenterState = "connecting" | "collecting" | "silent" | "failing" | "refused" | "standby";

export interface VCenter {
  name: string;
  url: string;
  state: VCenterState;
  since: string | null;
  product: string;
  apiVersion: string;
  range: Range | null;
  rate: number;
  lag: number | null;
  lastPoll: string | null;
  lastEvent: string | null;
  keyHeadroom: number | null;
  reconnects: number;
  gaps: number;
  lastError: { message: string; at: string | null } | null;
  log: { events: number; maxEvents: number | null; bytes: number; maxBytes: number | null; maxAge: number | null };
  collectedBy: string | null;
}

export interface EventType {
  id: string;
  class: string;
  description: string;
  category: string;
  longDescription: string;
  count: number;
}

export interface Bucket {
  time: string;
  info: number;
  warning: number;
  error: number;
  user: number;
  other: number;
}

export interface Histogram {
  from: string | null;
  to: string | null;
  width: number;
  complete: boolean;
  completeSince: string | null;
  buckets: Bucket[];
}

export interface FacetValue {
  value: string;
  count: number;
}

export interface Facets {
  complete: boolean;
  completeSince: string | null;
  events: number;
  facets: Record<string, { values: FacetValue[]; others: number }>;
}

/** The program that answers, and whom it takes us for. */
export interface ServerInfo {
  version: string;
  user: string | null;
  signedIn: boolean;
}

/** A saved view: a name and a query in the parameters of the API. */
export interface View {
  name: string;
  query: string;
}

/** The data of a bookmark. */
export interface Bookmark {
  cursor: string;
  upToDate: boolean;
  reason: "start" | "caught-up" | "idle" | "close" | "shutdown";
}

/** A problem document (RFC 9457). */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  parameter?: string;
  errors?: { line: number; column: number; message: string }[];
  requested?: number;
  earliest?: number;
  latest?: number;
  missed?: number;
  resume?: string;
  vcenter?: string;
}
