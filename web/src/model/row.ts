import type { CloudEvent, EventData, Named } from "../api/types";

/** What an event is about: the smallest thing that it names. */
export type Kind = "vm" | "host" | "datastore" | "network" | "cluster" | "datacenter";

/** A Row is an event as the list shows it; the rest is asked for when somebody looks. */
export interface Row {
  /** vCenter and id, which no two events share. */
  key: string;
  vcenter: string;
  id: string;
  /** Milliseconds since 1970, and the time as the event has it. */
  at: number;
  time: string;
  severity: string;
  /** The short name: VmPoweredOnEvent, or the id of an event of an extension. */
  type: string;
  target: string;
  kind: Kind | "";
  vm: string;
  host: string;
  cluster: string;
  datacenter: string;
  user: string;
  message: string;
  chain: number;
  /** Where a reader is behind this event, if a stream told so. */
  cursor: string;
  /** A place to go on from: cursor, or the end of the page that this event is the last one of. */
  after: string;
  /** The address of the page before this event, if it began a page. */
  before: string;
}

/** A Hole is a place in the list where events are missing. */
export interface Hole {
  key: string;
  cause: "expired" | "vcenter" | "buffer";
  /** What happened, in a sentence. */
  text: string;
  /** How many events at most; null if nobody knows. */
  most: number | null;
  at: number;
  /** Behind which cursor the missing events begin, if the server may still have them. */
  from: string;
  loading: boolean;
}

export type Item = Row | Hole;

export function isHole(item: Item): item is Hole {
  return "cause" in item;
}

const places: [Kind, keyof EventData][] = [
  ["vm", "Vm"], ["host", "Host"], ["datastore", "Ds"], ["network", "Net"], ["network", "Dvs"], ["cluster", "ComputeResource"], ["datacenter", "Datacenter"],
];

function nameOf(data: EventData, member: keyof EventData): string {
  return (data[member] as Named | null | undefined)?.Name ?? "";
}

/** The short name of an event's type; the id where extensions define it. */
export function shortType(event: CloudEvent): string {
  if (event.eventclass !== "event" && typeof event.data.EventTypeId === "string") return event.data.EventTypeId;
  const bare = event.type.replace(/\.v\d+$/, "");
  const prefix = "vmware.vsphere.";
  return bare.startsWith(prefix) ? bare.slice(prefix.length) : bare.slice(bare.lastIndexOf(".") + 1);
}

export function rowOf(event: CloudEvent, vcenter: string, cursor = ""): Row {
  const data = event.data;
  const place = places.find(([, member]) => nameOf(data, member) !== "");
  return {
    key: vcenter + "/" + event.id,
    vcenter,
    id: event.id,
    at: Date.parse(event.time),
    time: event.time,
    severity: event.severity ?? "",
    type: shortType(event),
    target: place ? nameOf(data, place[1]) : "",
    kind: place ? place[0] : "",
    vm: nameOf(data, "Vm"),
    host: nameOf(data, "Host"),
    cluster: nameOf(data, "ComputeResource"),
    datacenter: nameOf(data, "Datacenter"),
    user: data.UserName ?? "",
    message: data.FullFormattedMessage ?? "",
    chain: data.ChainId ?? 0,
    cursor,
    after: cursor,
    before: "",
  };
}

/**
 * The position that a page ends before when this row is the first one behind it: before its
 * own event, and behind the events of other vCenters that its cursor names.
 */
export function beforeOf(row: Row): string {
  if (!row.cursor) return "";
  return row.cursor
    .split("~")
    .map((position) => {
      const [name = "", offset = "", ...tag] = position.split(".");
      return [name, name === row.vcenter ? offset : String(Number(offset) + 1), ...tag].join(".");
    })
    .join("~");
}
