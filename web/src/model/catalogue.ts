import { getJSON } from "../api/client";
import type { EventType } from "../api/types";
import { Poll } from "./poll";

/** What a vCenter says of an event: causes, and what to do. */
export interface Advice {
  description: string;
  causes: { description: string; actions: string[] }[];
}

/** Catalogue is what the vCenters say of their types of events. */
export class Catalogue extends Poll<EventType[]> {
  private types = new Map<string, EventType>();

  constructor() {
    super(60_000);
  }

  protected ask(signal: AbortSignal): Promise<EventType[]> {
    return getJSON<EventType[]>("/types", undefined, signal);
  }

  protected override took(all: EventType[]): void {
    this.types = new Map(all.map((t) => [t.id, t]));
  }

  /** A type as the vSphere Client calls it, or its name in words. */
  title(type: string): string {
    return this.types.get(type)?.description || inWords(type);
  }

  /** What vCenter says of the type beyond its title; null if it says nothing. */
  advice(type: string): Advice | null {
    const text = this.types.get(type)?.longDescription;
    return text ? adviceOf(text) : null;
  }
}

/** VmPoweredOnEvent as "Vm powered on"; the ids of extensions stay. */
export function inWords(type: string): string {
  if (type.includes(".")) return type;
  const words = type.replace(/Event(Ex)?$/, "").replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2");
  const lower = words.replace(/ [A-Z][a-z]/g, (m) => m.toLowerCase());
  return lower.replace(/^Vm\b/, "VM") || type;
}

/** Reads vCenter's EventLongDescription. What is not such a document is taken as text. */
export function adviceOf(xml: string): Advice {
  const document = new DOMParser().parseFromString(xml, "text/xml");
  const text = (of: Element | null | undefined) => (of?.textContent ?? "").trim().replace(/\s+/g, " ");
  if (document.querySelector("parsererror")) return { description: xml, causes: [] };
  const root = document.documentElement;
  const causes = [...root.querySelectorAll("cause")].map((cause) => ({
    description: text(cause.querySelector("description")),
    actions: [...cause.querySelectorAll("action")].map(text).filter((a) => a !== ""),
  }));
  const own = [...root.children].find((e) => e.tagName === "description");
  return { description: text(own ?? (causes.length === 0 ? root : null)), causes };
}
