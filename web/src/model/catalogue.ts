import { getJSON } from "../api/client";
import type { EventType } from "../api/types";
import { type Advice, adviceOf } from "./advice";
import { Poll } from "./poll";

/** Catalogue is what the vCenters say of their types of events. */
export class Catalogue extends Poll<EventType[]> {
  private types = new Map<string, EventType>();
  private titles = new Map<string, string>();

  constructor() {
    super(60_000);
  }

  protected ask(signal: AbortSignal): Promise<EventType[]> {
    return getJSON<EventType[]>("/types", undefined, signal);
  }

  protected override took(all: EventType[]): void {
    this.types = new Map(all.map((t) => [t.id, t]));
    this.titles = new Map(all.map((t) => [t.id, filled(t.description)]));
  }

  /** A type as the vSphere Client calls it, or its name in words. */
  title(type: string): string {
    return this.titles.get(type) || inWords(type);
  }

  /** What vCenter says of the type beyond its title; null if it says nothing. */
  advice(type: string): Advice | null {
    const text = this.types.get(type)?.longDescription;
    return text ? adviceOf(text) : null;
  }
}

/** A description without the braces of what it would be about: "{host} lost {datastore}" as "Host lost datastore". */
export function filled(description: string): string {
  const words = description.replace(/[\s.,:;]*\w+:\s*\{[^{}]*\}\.?$/, "").replace(/\{(\w+)[^{}]*\}/g, (_, name: string) => (name === "vm" ? "VM" : name));
  return description.startsWith("{") ? words.charAt(0).toUpperCase() + words.slice(1) : words;
}

/** VmPoweredOnEvent as "Vm powered on"; the ids of extensions stay. */
export function inWords(type: string): string {
  if (type.includes(".")) return type;
  const words = type.replace(/Event(Ex)?$/, "").replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2");
  const lower = words.replace(/ [A-Z][a-z]/g, (m) => m.toLowerCase());
  return lower.replace(/^Vm\b/, "VM") || type;
}
