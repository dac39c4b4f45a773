import { getJSON, serverNow } from "../api/client";
import type { VCenter } from "../api/types";
import { Poll } from "./poll";

/** A time in which a vCenter was not read, in milliseconds; it may last. */
export interface Outage {
  vcenter: string;
  from: number;
  to: number | null;
}

/** What happens to a vCenter that is worth a word in the list. */
export type Trouble = (vcenter: VCenter, outage: Outage, lost: boolean) => void;

/** VCenters is how collecting goes, for each vCenter, and when it did not, as far as the page has seen. */
export class VCenters extends Poll<VCenter[]> {
  outages: Outage[] = [];
  private gaps = new Map<string, number>();

  constructor(private readonly trouble: Trouble) {
    super(3_000);
  }

  /** The name of the vCenter whose events have this source. */
  nameOf = (source: string): string => {
    const all = this.value ?? [];
    return all.find((v) => v.url === source)?.name ?? (all.length === 1 ? (all[0]?.name ?? "") : source);
  };

  protected ask(signal: AbortSignal): Promise<VCenter[]> {
    return getJSON<VCenter[]>("/vcenters", undefined, signal);
  }

  protected override took(all: VCenter[]): void {
    for (const v of all) this.look(v);
  }

  private look(v: VCenter): void {
    const open = this.outages.find((o) => o.vcenter === v.name && o.to === null);
    const lost = v.gaps > (this.gaps.get(v.name) ?? v.gaps);
    this.gaps.set(v.name, v.gaps);
    const away = v.state !== "collecting" && v.state !== "standby" && v.lastEvent !== null;
    if (away && !open) {
      const from = v.since ? Date.parse(v.since) : serverNow();
      this.outages.push({ vcenter: v.name, from, to: null });
    } else if (!away && open) {
      open.to = serverNow();
      this.trouble(v, open, lost);
    } else if (!away && lost) {
      this.trouble(v, { vcenter: v.name, from: serverNow(), to: serverNow() }, true);
    }
    if (this.outages.length > 100) this.outages.shift();
  }
}
