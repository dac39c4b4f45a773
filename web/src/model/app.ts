import { getJSON, isAbort, type Problem, problemOf, request, serverNow } from "../api/client";
import type { CloudEvent, ServerInfo, View } from "../api/types";
import { Catalogue } from "./catalogue";
import { FacetsPoll, HistogramPoll } from "./counts";
import { Feed } from "./feed";
import { Model } from "./model";
import { everything, isHistorical, parseQuery, type Query, queryParams, sameQuery } from "./query";
import { live } from "./range";
import { isHole, type Row, rowOf } from "./row";
import { type Order, Settings } from "./settings";
import { VCenters } from "./vcenters";

/** An event that somebody looks at: where it is, and what there is of it by now. */
export interface Selected {
  vcenter: string;
  id: string;
  row: Row | null;
  event: CloudEvent | null;
  problem: Problem | null;
  /** Whether the drawer shows it; else it is only marked in the list. */
  open: boolean;
}

/** A word to somebody that goes away by itself. */
export interface Note {
  text: string;
  /** Counts notes, so that the same one can be shown twice. */
  n: number;
}

/** A page that nobody has looked at for so long lets go of the server. */
const attention = 60_000;

/** App is the whole state of the page, and all that can be done to it. */
export class App extends Model {
  readonly settings = new Settings();
  readonly vcenters: VCenters;
  readonly feed: Feed;
  readonly histogram = new HistogramPoll();
  readonly facets = new FacetsPoll();
  readonly catalogue = new Catalogue();

  query: Query = everything;
  /** The queries that zooming in has left, the last one last. */
  zoomed: Query[] = [];
  selected: Selected | null = null;
  views: View[] = [];
  /** The server as it is now, and the version that this page came with. */
  server: ServerInfo | null = null;
  born = "";
  /** Parameters of the address that mean nothing here. */
  unknown: string[] = [];
  help = false;
  signInLater = false;
  note: Note | null = null;
  private looking = new AbortController();
  private unseen: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    this.vcenters = new VCenters((v, outage, lost) => {
      const minutes = Math.max(1, Math.round(((outage.to ?? serverNow()) - outage.from) / 60_000));
      if (lost) this.feed.mark({ cause: "vcenter", most: null, text: `${v.name} no longer had what happened while it could not be read` });
      else if (outage.to !== outage.from) this.say(`${v.name} is being read again, after about ${minutes} min`);
    });
    this.feed = new Feed(this.vcenters.nameOf);
    let open = false;
    this.feed.subscribe(() => {
      const was = open;
      open = this.feed.link?.is === "open";
      if (open && !was && this.server) void this.loadServer(); // it may be another one now
    });
  }

  /** Begins: reads the address, and asks for everything. */
  async start(): Promise<void> {
    window.addEventListener("popstate", () => this.readAddress());
    document.addEventListener("visibilitychange", () => this.seen());
    this.seen();
    this.vcenters.now();
    this.catalogue.now();
    void this.loadViews();
    void this.loadServer();
    await this.vcentersKnown();
    this.readAddress();
    if (this.vcenters.value) return;
    const end = this.vcenters.subscribe(() => {
      if (!this.vcenters.value) return;
      end();
      void this.feed.show(this.query); // for what came meanwhile has no names
    });
  }

  /** Whether somebody looks at the page has changed. */
  private seen(): void {
    clearTimeout(this.unseen);
    if (document.hidden) this.unseen = setTimeout(() => this.feed.sleep(), attention);
    else this.feed.wakeUp();
  }

  // ---- which events

  setQuery(query: Query): void {
    if (sameQuery(query, this.query)) return;
    this.query = query;
    this.writeAddress(true);
    this.load();
  }

  /** Shows a stretch of time, both in milliseconds, until somebody zooms out. */
  zoom(from: number, to: number): void {
    const before = this.query;
    this.setQuery({ ...this.query, since: new Date(from).toISOString(), until: new Date(to).toISOString() });
    this.zoomed.push(before);
    this.changed();
  }

  zoomOut(): void {
    const before = this.zoomed.pop();
    if (before) this.setQuery({ ...this.query, since: before.since, until: before.until });
    this.changed();
  }

  /** Leaves the past for what happens now. */
  backToLive(): void {
    if (!isHistorical(this.query)) {
      this.feed.resume();
      return;
    }
    const before = this.zoomed.find((q) => !isHistorical(q));
    this.zoomed = [];
    this.setQuery(live(before ? { ...this.query, since: before.since, until: "" } : this.query));
  }

  // ---- one event

  /** Marks an event, and stands still; shows it in the drawer if open. */
  select(row: Row, open: boolean): void {
    this.feed.pause();
    if (this.selected?.vcenter === row.vcenter && this.selected.id === row.id) {
      this.selected = { ...this.selected, row, open };
    } else {
      this.selected = { vcenter: row.vcenter, id: row.id, row, event: null, problem: null, open };
    }
    if (open) void this.look();
    this.writeAddress(false);
    this.changed();
  }

  /** Shows an event of which only the id is known. */
  lookAt(vcenter: string, id: string): void {
    this.feed.pause();
    this.selected = { vcenter, id, row: null, event: null, problem: null, open: true };
    this.writeAddress(false);
    this.lookAgain();
  }

  /** Asks again for the selected event, as when it could not be had. */
  lookAgain(): void {
    if (this.selected) this.selected = { ...this.selected, problem: null };
    void this.look();
    this.changed();
  }

  /** Marks the next event in the direction that time goes, or the one before. */
  step(by: 1 | -1): void {
    const rows = this.feed.items;
    const at = rows.findIndex((item) => !isHole(item) && item.key === this.selectedKey);
    let next = at < 0 ? rows.length - 1 : at + by;
    while (rows[next] && isHole(rows[next] as Row)) next += by;
    const row = rows[next];
    if (row && !isHole(row)) this.select(row, this.selected?.open ?? false);
  }

  closeDrawer(): void {
    if (!this.selected) return;
    this.selected = { ...this.selected, open: false };
    this.writeAddress(false);
    this.changed();
  }

  unselect(): void {
    this.selected = null;
    this.writeAddress(false);
    this.changed();
  }

  get selectedKey(): string {
    return this.selected ? `${this.selected.vcenter}/${this.selected.id}` : "";
  }

  // ---- the rest

  say(text: string): void {
    this.note = { text, n: (this.note?.n ?? 0) + 1 };
    this.changed();
  }

  /** Copies a text, and says so; what is what it is called. */
  async copy(text: string, what: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.say(`Copied ${what}`);
    } catch {
      this.say(copyWithoutPermission(text) ? `Copied ${what}` : `The browser does not let the page copy ${what}`);
    }
  }

  setOrder(order: Order): void {
    this.settings.setOrder(order);
    this.writeAddress(false);
    this.changed();
  }

  forgetUnknown(): void {
    this.unknown = [];
    this.writeAddress(false);
    this.changed();
  }

  hush(): void {
    this.note = null;
    this.changed();
  }

  showHelp(on: boolean): void {
    this.help = on;
    this.changed();
  }

  /** Asks for everything again, as after signing in. */
  reload(): void {
    this.vcenters.now();
    this.catalogue.now();
    this.histogram.now();
    this.facets.now();
    void this.loadViews();
    void this.loadServer();
    this.feed.retry();
    if (this.selected?.open && !this.selected.event) void this.look();
  }

  /** Whether the server wants to know who somebody is. */
  get signedOut(): boolean {
    return [this.vcenters.problem, this.feed.problem, this.facets.problem].some((p) => p?.status === 401);
  }

  /** Somebody wants to look first, and sign in later; or now. */
  askToSignIn(now: boolean): void {
    this.signInLater = !now;
    this.changed();
  }

  /** Signs in with a token, and throws the Problem if it is not accepted. */
  async signIn(token: string): Promise<void> {
    await request("/signin", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
    this.signInLater = false;
    this.reload();
  }

  private load(): void {
    void this.feed.show(this.query);
    this.histogram.show(this.query);
    this.facets.show(this.query);
    this.changed();
  }

  private async loadViews(): Promise<void> {
    try {
      this.views = await getJSON<View[]>("/views");
      this.changed();
    } catch {
      // There are none then.
    }
  }

  private async loadServer(): Promise<void> {
    try {
      this.server = await getJSON<ServerInfo>("/server");
      this.born ||= this.server.version;
      this.changed();
    } catch {
      // What it was stays.
    }
  }

  /** Whether the server has become another version, whose page may be another one. */
  get outdated(): boolean {
    return this.server !== null && this.server.version !== this.born;
  }

  /** Waits for the names of the vCenters, which rows have, but not for long. */
  private async vcentersKnown(): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = this.vcenters.subscribe(() => {
        end();
        resolve();
      });
      setTimeout(resolve, 2_000);
    });
  }

  /** The address has the query, and the event that is looked at as vcenter/id. */
  private readAddress(): void {
    const params = new URLSearchParams(window.location.search);
    const event = params.get("event") ?? "";
    const order = params.get("order");
    params.delete("event");
    params.delete("order");
    const { query, unknown } = parseQuery(params);
    this.unknown = unknown;
    if (order === "oldest" || order === "newest") this.settings.setOrder(order);
    const first = this.query === everything;
    const another = !sameQuery(query, this.query);
    this.query = query;
    const slash = event.indexOf("/");
    const vcenter = event.slice(0, slash);
    const id = event.slice(slash + 1);
    if (another) this.zoomed = []; // which led to another place than the one that is gone back to
    if (slash > 0 && this.selected?.vcenter === vcenter && this.selected.id === id) {
      this.selected = { ...this.selected, open: true };
      void this.look();
    } else if (slash > 0) {
      this.selected = { vcenter, id, row: null, event: null, problem: null, open: true };
      if (first || another) this.loadAround();
      else void this.look();
      return;
    }
    if (slash <= 0) this.selected = null;
    if (first || another) this.load();
    this.changed();
  }

  /** Shows the list at the place of the selected event. */
  private loadAround(): void {
    this.histogram.show(this.query);
    this.facets.show(this.query);
    void this.look().then(() => {
      const row = this.selected?.row;
      if (!row || isHistorical(this.query)) void this.feed.show(this.query);
      else void this.feed.jump(row.at);
    });
  }

  private writeAddress(push: boolean): void {
    const params = queryParams(this.query);
    if (this.settings.order === "oldest") params.set("order", "oldest");
    if (this.selected?.open) params.set("event", this.selectedKey);
    // Slashes, colons and commas read better as they are, and need no escaping in a query.
    const search = params.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%21", "!");
    const url = window.location.pathname + (search ? "?" + search : "");
    if (url === window.location.pathname + window.location.search) return;
    try {
      if (push) window.history.pushState(null, "", url);
      else window.history.replaceState(null, "", url);
    } catch {
      // Browsers refuse when it changes too often, as while a key is held; what is shown is more important.
    }
  }

  /** Asks for the whole of the selected event. */
  private async look(): Promise<void> {
    const { selected } = this;
    if (!selected || selected.event) return;
    this.looking.abort();
    this.looking = new AbortController();
    const at = () => (this.selected && this.selected.vcenter === selected.vcenter && this.selected.id === selected.id ? this.selected : null);
    try {
      const path = `/vcenters/${encodeURIComponent(selected.vcenter)}/events/${encodeURIComponent(selected.id)}`;
      const event = await getJSON<CloudEvent>(path, undefined, this.looking.signal);
      const now = at();
      if (now) this.selected = { ...now, event, row: now.row ?? rowOf(event, selected.vcenter), problem: null };
    } catch (error) {
      const now = at();
      if (!isAbort(error) && now) this.selected = { ...now, problem: problemOf(error) };
    }
    this.changed();
  }
}

/** Copies the way that browsers know also without TLS, where they have no clipboard for pages. */
function copyWithoutPermission(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}
