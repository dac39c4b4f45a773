import type { CloudEvent, Named } from "../api/types";
import type { Field } from "./query";
import type { Row } from "./row";

/** A value of an event that can be filtered by. */
export interface Value {
  field: Field;
  value: string;
}

/** What can be filtered by in an event; of the row while the event itself is not there. */
export function valuesOf(row: Row, event: CloudEvent | null): Value[] {
  const name = (member: string) => (event?.data[member] as Named | null | undefined)?.Name ?? "";
  const values: Value[] = [
    { field: "severity", value: row.severity },
    { field: "type", value: row.type },
    { field: "vm", value: row.vm },
    { field: "host", value: row.host },
    { field: "cluster", value: row.cluster },
    { field: "datacenter", value: row.datacenter },
    { field: "datastore", value: name("Ds") },
    { field: "network", value: name("Net") || name("Dvs") },
    { field: "user", value: row.user },
    { field: "vcenter", value: row.vcenter },
    { field: "chain", value: row.chain ? String(row.chain) : "" },
  ];
  return values.filter((v) => v.value !== "");
}

/** Something else that an event says. */
export interface Fact {
  name: string;
  value: string;
}

/** Facts that belong together; those of the event itself have no title. */
export interface Facts {
  title: string;
  facts: Fact[];
}

/** Members that are shown elsewhere, or say nothing to people. */
const elsewhere = new Set([
  "Key", "ChainId", "CreatedTime", "UserName", "Datacenter", "ComputeResource", "Host", "Vm", "Ds", "Net", "Dvs",
  "FullFormattedMessage", "EventTypeId", "Severity", "ChangeTag", "Xml",
]);

/** What an event says beyond its message and what can be filtered by, without what is empty. */
export function factsOf(event: CloudEvent): Facts[] {
  const own: Fact[] = [];
  const groups: Facts[] = [{ title: "", facts: own }];
  for (const [member, value] of Object.entries(event.data)) {
    if (elsewhere.has(member) || value === event.data.FullFormattedMessage) continue;
    const text = textOf(value);
    if (text !== "") own.push({ name: inWords(member), value: text });
    const facts = pairsOf(value) ?? (text === "" ? membersOf(value) : faultOf(value));
    if (facts.length > 0) groups.push({ title: inWords(member), facts });
  }
  return groups.filter((g) => g.facts.length > 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in a line: what is one, what an object is called, the message of a fault; "" if it has none. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value.startsWith("0001-01-01T00:00:00") ? "" : value;
  if (typeof value === "number") return value === 0 ? "" : String(value);
  if (typeof value === "boolean") return value ? "yes" : "";
  if (Array.isArray(value)) {
    const texts = value.map((v) => (isObject(v) && !("Name" in v) ? "" : textOf(v)));
    return texts.every((t) => t !== "") ? texts.join(", ") : "";
  }
  if (!isObject(value)) return "";
  for (const member of ["Name", "LocalizedMessage", "Message"]) {
    const text = value[member];
    if (typeof text === "string" && text !== "" && (member !== "Name" || isReference(value))) return text;
  }
  const { Type: type, Value: id } = value;
  return Object.keys(value).length === 2 && typeof type === "string" && typeof id === "string" ? id : "";
}

/** Whether a name is all that people want to know of an object: the rest are references. */
function isReference(value: Record<string, unknown>): boolean {
  return Object.values(value).every((v) => typeof v === "string" || (isObject(v) && "Type" in v && "Value" in v));
}

/** The arguments of an event, and whatever else is a list of keys and values. */
function pairsOf(value: unknown): Fact[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  if (!value.every((v) => isObject(v) && typeof v["Key"] === "string" && "Value" in v)) return null;
  return (value as { Key: string; Value: unknown }[])
    .map((v) => ({ name: v.Key, value: v.Value === 0 || v.Value === false ? String(v.Value) : textOf(v.Value) }))
    .filter((f) => f.value !== "");
}

/** What the members of an object say, each in a line. */
function membersOf(value: unknown): Fact[] {
  if (!isObject(value)) return [];
  return Object.entries(value)
    .map(([member, v]) => ({ name: inWords(member), value: textOf(v) }))
    .filter((f) => f.value !== "");
}

/** What a fault says beyond its message. */
function faultOf(value: unknown): Fact[] {
  return isObject(value) ? membersOf(value["Fault"]) : [];
}

const acronyms: Record<string, string> = {
  ip: "IP", vm: "VM", id: "ID", uuid: "UUID", url: "URL", cpu: "CPU", cpus: "CPUs", mb: "MB", os: "OS", ds: "datastore", dest: "destination",
  ha: "HA", drs: "DRS", dvs: "switch", mac: "MAC", dns: "DNS", ssl: "SSL", sgx: "SGX",
};

/** IpAddress as "IP address", DestHost as "Destination host". */
export function inWords(member: string): string {
  const words = member
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .replace(/\bCP Us\b/, "CPUs")
    .split(" ");
  const text = words.map((w) => acronyms[w.toLowerCase()] ?? (/^[A-Z]{2,}$/.test(w) ? w : w.toLowerCase())).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
