import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import type { CloudEvent } from "../src/api/types";
import { Blocks, type Link, Stream, type Told } from "../src/api/stream";
import type { Problem } from "../src/api/client";
import { Feed, maxPending } from "../src/model/feed";
import { maxItems } from "../src/model/rows";
import { everything, only, parseQuery, queryParams, without } from "../src/model/query";
import { beforeOf, isHole, rowOf } from "../src/model/row";

const source = "https://vc1/sdk";

function event(id: number): CloudEvent {
  return {
    specversion: "1.0", id: String(id), source, type: "vmware.vsphere.VmPoweredOnEvent.v0", time: new Date(1_700_000_000_000 + 1000 * id).toISOString(),
    eventclass: "event", severity: "info",
    data: { Key: id, ChainId: id, CreatedTime: "", UserName: "u", Datacenter: null, ComputeResource: null, Host: null, Vm: null, Ds: null, Net: null, Dvs: null, FullFormattedMessage: `Ünï ${id}` },
  };
}

/** A server of one log, of the ids from first to last, with streams that a test feeds and cuts off. */
class Server {
  first = 1;
  last = 0;
  /** What watches and pages are answered with instead, once each. */
  refusals: { status: number; document: object }[] = [];
  streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  asked: string[] = [];
  down = false;
  /** How many events an answer has at most, whatever is asked for. */
  most = Infinity;
  /** An event that happened long before those around it; 0 is none. */
  late = 0;
  /** What time it is for the server; 0 is the time of the tests. */
  clock = 0;

  answer = async (input: string, init: RequestInit): Promise<Response> => {
    this.asked.push(input);
    await new Promise((resolve) => setImmediate(resolve));
    if (init.signal?.aborted) throw new DOMException("", "AbortError");
    if (this.down) throw new TypeError("fetch failed");
    const refusal = this.refusals.shift();
    if (refusal) return Response.json({ type: "urn:vstream:problem:x", title: "", detail: "", status: refusal.status, ...refusal.document }, { status: refusal.status });
    const params = new URL(input, "http://x").searchParams;
    const cursor = params.get("cursor");
    const after = cursor === null ? null : cursor === "~" ? 0 : Number(cursor.split(".")[1]);
    if (new Headers(init.headers).get("Accept") === "text/event-stream") return this.watch(after ?? this.last, init.signal as AbortSignal);
    const limit = Number(params.get("limit") ?? 50);
    const before = params.get("before");
    let from = Math.max(this.first, this.last - limit + 1);
    let to = this.last;
    if (before !== null) {
      to = Number(before.split(".")[1]) - 1;
      from = Math.max(this.first, to - limit + 1);
    } else if (after !== null || params.get("offset") === "earliest" || params.has("since")) {
      from = Math.max(this.first, (after ?? 0) + 1);
      to = Math.min(this.last, from + limit - 1);
    }
    const events = [];
    if (after !== null) to = Math.min(to, from + this.most - 1);
    for (let id = from; id <= to; id++) events.push(id === this.late ? { ...event(id), time: event(1).time } : event(id));
    const headers = new Headers({ "Stream-Next-Cursor": `vc1.${to}`, Date: new Date(this.clock || Date.now()).toUTCString() });
    if (to >= this.last) headers.set("Stream-Up-To-Date", "true");
    headers.append("Link", `</api/v1/events?cursor=vc1.${to}&limit=${limit}>; rel="next"`);
    if (from > this.first) headers.append("Link", `</api/v1/events?before=vc1.${from}&limit=${limit}>; rel="prev"`);
    return Response.json(events, { headers });
  };

  private watch(after: number, signal: AbortSignal): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.streams.push(controller);
        signal.addEventListener("abort", () => {
          this.streams = this.streams.filter((s) => s !== controller);
          controller.error(new DOMException("", "AbortError"));
        });
        this.send(controller, bookmark(after));
        for (let id = Math.max(after + 1, this.first); id <= this.last; id++) this.send(controller, message(id));
      },
    });
    return new Response(body);
  }

  private send(to: ReadableStreamDefaultController<Uint8Array>, text: string): void {
    to.enqueue(new TextEncoder().encode(text));
  }

  /** Lets n events happen. */
  happen(n: number): void {
    let text = "";
    for (; n > 0; n--) text += message(++this.last);
    for (const s of this.streams) this.send(s, text);
  }

  tell(text: string): void {
    for (const s of this.streams) this.send(s, text);
  }

  /** Ends all streams: in order, or as a broken connection does. */
  cut(inOrder: boolean): void {
    const { streams } = this;
    this.streams = [];
    for (const s of streams) {
      if (inOrder) s.close();
      else s.error(new TypeError("network error"));
    }
  }
}

function message(id: number): string {
  return `id: vc1.${id}\ndata: ${JSON.stringify(event(id))}\n\n`;
}

function bookmark(at: number): string {
  return `event: bookmark\nid: vc1.${at}\ndata: ${JSON.stringify({ data: { cursor: `vc1.${at}`, upToDate: false, reason: "start" } })}\n\n`;
}

let server: Server;

beforeEach(() => {
  server = new Server();
  mock.method(globalThis, "fetch", server.answer as typeof fetch);
  mock.method(Math, "random", () => -0.98); // no wait is longer than a moment
});

/** Waits until it is so. */
async function until(so: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; !so(); await new Promise((resolve) => setTimeout(resolve, 2))) {
    if (Date.now() > deadline) assert.fail(`it does not become so that ${what}`);
  }
}

function ids(feed: Feed): string[] {
  return feed.items.map((item) => (isHole(item) ? `hole ${item.cause} ${item.most}` : item.id));
}

function range(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
}

async function shown(n: number): Promise<Feed> {
  server.last = n;
  const feed = new Feed(() => "vc1");
  await feed.show(everything);
  await until(() => feed.link?.is === "open", "the stream is open");
  return feed;
}

// ---- the stream

test("blocks are the same however a stream is cut into pieces", () => {
  const text = bookmark(7) + message(8) + ": nothing\n\nretry: 5\n\n" + message(9) + "event: problem\ndata: {}\n\n";
  const bytes = new TextEncoder().encode(text);
  const whole = new Blocks().push(text);
  assert.equal(whole.length, 4);
  assert.deepEqual(whole.map((b) => b.event), ["bookmark", "", "", "problem"]);
  for (let size = 1; size < 80; size++) {
    const blocks = new Blocks();
    const decoder = new TextDecoder();
    const all = [];
    for (let i = 0; i < bytes.length; i += size) all.push(...blocks.push(decoder.decode(bytes.subarray(i, i + size), { stream: true })));
    assert.deepEqual(all, whole, `cut into pieces of ${size}`);
  }
});

interface Heard {
  ids: string[];
  links: Link["is"][];
  refused: Problem | null;
}

function follow(cursor: string): { stream: Stream; heard: Heard } {
  const heard: Heard = { ids: [], links: [], refused: null };
  const stream = new Stream("/api/v1/events", cursor, {
    told: (batch: Told[]) => heard.ids.push(...batch.map((t) => t.event.id)),
    bookmark: () => {},
    link: (l) => heard.links.push(l.is),
    refused: (p) => (heard.refused = p),
  });
  return { stream, heard };
}

test("a stream comes again behind what it has told, whatever ends it", async () => {
  server.last = 10;
  const { stream, heard } = follow("vc1.5");
  for (let round = 0; round < 6; round++) {
    await until(() => heard.ids.length === server.last - 5, "all was told");
    server.cut(round % 2 === 0);
    if (round === 3) server.refusals.push({ status: 503, document: {} }, { status: 429, document: {} });
    server.happen(3);
  }
  await until(() => heard.ids.length === server.last - 5, "all was told");
  assert.deepEqual(heard.ids, range(6, server.last));
  stream.close();
  assert.equal(heard.refused, null);
});

test("what comes before a record that cannot be read is told, and not lost", async () => {
  const { stream, heard } = follow("vc1.0");
  await until(() => server.streams.length === 1, "it is connected");
  server.last = 2;
  server.tell(message(1) + message(2) + "id: vc1.3\ndata: {half\n\n" + message(4));
  await until(() => server.asked.length === 2, "it came again");
  assert.match(server.asked[1] ?? "", /cursor=vc1\.2$/);
  assert.deepEqual(heard.ids, range(1, 2));
  stream.close();
});

test("a stream that is not served any more says why and ends", async () => {
  const { heard } = follow("vc1.0");
  await until(() => server.streams.length === 1, "it is connected");
  server.tell(message(1) + `event: problem\ndata: ${JSON.stringify({ data: { type: "urn:vstream:problem:offset-expired", title: "", status: 410, detail: "", missed: 7 } })}\n\n`);
  await until(() => heard.refused !== null, "it was refused");
  assert.equal(heard.refused?.document.missed, 7);
  assert.deepEqual(heard.ids, ["1"]);
  assert.equal(server.asked.length, 1);
});

test("a closed stream tells nothing more and does not come again", async () => {
  const { stream, heard } = follow("vc1.0");
  await until(() => server.streams.length === 1, "it is connected");
  server.happen(1);
  stream.close();
  server.happen(5);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(heard.ids, []);
  assert.equal(server.asked.length, 1);
});

// ---- the feed

test("the newest events are shown, and what happens is added", async () => {
  const feed = await shown(1000);
  assert.deepEqual(ids(feed), range(801, 1000));
  server.happen(5);
  await until(() => feed.items.length === 205, "they were added");
  await feed.loadOlder();
  await feed.loadOlder();
  assert.deepEqual(ids(feed), range(1, 1005));
  assert.equal(feed.hasOlder, false);
  feed.close();
});

test("a list that stands still keeps aside what happens, up to a limit, and misses nothing", async () => {
  const feed = await shown(300);
  feed.pause();
  server.happen(maxPending - 10);
  await until(() => feed.pending.length === maxPending - 10, "it was kept aside");
  server.happen(100);
  await until(() => feed.overflowed, "it was too much");
  server.happen(1500);
  assert.equal(feed.items.length, 200);
  assert.equal(server.streams.length, 0);
  feed.resume();
  await until(() => feed.items.length === 200 + maxPending + 1590, "all is there");
  assert.deepEqual(ids(feed), range(101, server.last));
  server.happen(1);
  await until(() => ids(feed).at(-1) === String(server.last), "it goes on");
  feed.close();
});

test("a hole for what is too much to read on is filled from the server", async () => {
  const feed = await shown(300);
  feed.pause();
  server.happen(maxPending);
  await until(() => feed.overflowed, "it was too much");
  server.happen(8000);
  feed.resume();
  await until(() => feed.link?.is === "open" && ids(feed).at(-1) === String(server.last), "it is at the end");
  const hole = feed.items.find(isHole);
  assert.ok(hole);
  const { newEnd } = feed.rows;
  for (let n = 0; n < 5 && feed.items.includes(hole); n++) await feed.fill(hole);
  assert.deepEqual(ids(feed), range(101, server.last));
  assert.equal(feed.rows.newEnd, newEnd, "newer rows keep their place");
  feed.close();
});

test("an expired cursor leaves a hole that says how many events are missing", async () => {
  const feed = await shown(300);
  server.cut(false);
  server.first = 2001;
  server.last = 2100;
  server.refusals.push({ status: 410, document: { missed: 1700, resume: "/api/v1/events?offset=2001" } });
  await until(() => ids(feed).at(-1) === "2100", "it goes on");
  assert.deepEqual(ids(feed), [...range(101, 300), "hole expired 1700", ...range(2001, 2100)]);
  feed.close();
});

test("a log that was replaced is read from its end, and told of", async () => {
  const feed = await shown(300);
  server.cut(false);
  server.last = 20;
  server.refusals.push({ status: 409, document: { resume: "/api/v1/events?offset=1" } });
  await until(() => ids(feed).at(-1) === "20", "it is another log");
  assert.deepEqual(ids(feed), range(1, 20));
  assert.equal(feed.replaced, true);
  feed.close();
});

test("who was signed out goes on where it was", async () => {
  const feed = await shown(300);
  server.cut(false);
  server.refusals.push({ status: 401, document: {} });
  await until(() => feed.problem?.status === 401, "it was refused");
  server.happen(2500);
  feed.retry();
  await until(() => ids(feed).at(-1) === "2800", "it goes on");
  assert.deepEqual(ids(feed), range(101, 2800));
  assert.equal(feed.problem, null);
  feed.close();
});

test("trying again while the first page is awaited asks once more, and doubles nothing", async () => {
  server.last = 300;
  server.down = true;
  const feed = new Feed(() => "vc1");
  void feed.show(everything);
  await until(() => feed.link?.is === "lost", "it waits");
  server.down = false;
  feed.retry();
  feed.retry();
  await until(() => feed.phase === "ready" && feed.link?.is === "open", "it is there");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(ids(feed), range(101, 300));
  feed.close();
});

test("from the oldest event on all can be read up to what happens, standing still", async () => {
  const feed = await shown(3000);
  await feed.jump(null);
  assert.equal(feed.still, true);
  assert.equal(feed.from, "oldest");
  assert.deepEqual(ids(feed), range(1, 200));
  while (feed.hasNewer) await feed.loadNewer();
  await until(() => feed.link?.is === "open", "it follows");
  server.happen(4);
  await until(() => feed.pending.length === 4, "they are kept aside");
  feed.resume();
  assert.deepEqual(ids(feed), range(1, 3004));
  feed.close();
});

test("rows are bounded at the new end and at the old one, and what was dropped comes again", async () => {
  const feed = await shown(1000);
  for (let n = 0; n < 110; n++) {
    const { last } = server;
    server.happen(1000);
    await until(() => ids(feed).at(-1) === String(last + 1000), "they came");
  }
  assert.ok(feed.items.length <= maxItems);
  const oldest = Number(ids(feed)[0]);
  await feed.loadOlder();
  assert.deepEqual(ids(feed).slice(0, 1001), range(oldest - 1000, oldest));
  feed.pause();
  while (feed.hasOlder) await feed.loadOlder();
  assert.ok(feed.items.length <= maxItems);
  assert.equal(ids(feed)[0], "1");
  assert.equal(feed.hasNewer, true);
  while (feed.hasNewer) {
    const before = ids(feed).at(-1);
    await feed.loadNewer();
    if (before === ids(feed).at(-1)) break;
  }
  assert.equal(ids(feed).at(-1), String(server.last));
  const all = ids(feed).map(Number);
  assert.ok(all.every((id, i) => i === 0 || id === (all[i - 1] ?? 0) + 1), "none is missing or doubled");
  feed.close();
});

test("a time that is none is said to be none", async () => {
  const feed = new Feed(() => "vc1");
  await feed.show({ ...everything, since: "abc" });
  assert.equal(feed.phase, "failed");
  assert.match(feed.problem?.message ?? "", /“abc” is no time/);
});

test("what cannot be read on after standing still for long is tried again", async () => {
  const feed = await shown(300);
  feed.pause();
  server.happen(maxPending);
  await until(() => feed.overflowed, "it was too much");
  server.happen(10);
  server.refusals.push({ status: 503, document: {} });
  feed.resume();
  await until(() => ids(feed).at(-1) === String(server.last) && feed.link?.is === "open", "it goes on");
  assert.deepEqual(ids(feed), range(101, server.last));
  feed.close();
});

test("what expired while the list stood still is a hole behind what was kept aside", async () => {
  const feed = await shown(300);
  feed.pause();
  server.happen(5);
  await until(() => feed.pending.length === 5, "they were kept aside");
  server.cut(false);
  server.first = 2001;
  server.last = 2100;
  server.refusals.push({ status: 410, document: { missed: 1695, resume: "/api/v1/events?offset=2001" } });
  await until(() => feed.pending.length === 106 && feed.link?.is === "open", "it goes on");
  assert.deepEqual(ids(feed), range(101, 300));
  feed.resume();
  assert.deepEqual(ids(feed), [...range(101, 305), "hole expired 1695", ...range(2001, 2100)]);
  feed.close();
});

test("a list that stood still for longer than the log keeps events goes on behind a hole", async () => {
  const feed = await shown(300);
  feed.pause();
  server.happen(maxPending);
  await until(() => feed.overflowed, "it was too much");
  server.last = 20_100;
  server.first = 20_001;
  server.refusals.push({ status: 410, document: { missed: 14_700, resume: "/api/v1/events?offset=20001" } });
  feed.resume();
  await until(() => feed.link?.is === "open", "it goes on");
  assert.deepEqual(ids(feed), [...range(101, 5300), "hole expired 14700", ...range(20_001, 20_100)]);
  feed.close();
});

test("a hole of which the log dropped a part is filled with the rest", async () => {
  const feed = await shown(300);
  feed.pause();
  server.happen(maxPending);
  await until(() => feed.overflowed, "it was too much");
  server.happen(6000);
  feed.resume();
  await until(() => feed.link?.is === "open" && ids(feed).at(-1) === String(server.last), "it is at the end");
  const hole = feed.items.find(isHole);
  assert.ok(hole);
  server.first = 10_901;
  server.refusals.push({ status: 410, document: { missed: 600, resume: "/api/v1/events?offset=10901" } });
  await feed.fill(hole);
  assert.deepEqual(ids(feed), [...range(101, 10_300), "hole expired 600", ...range(10_901, 11_300)]);
  assert.equal(feed.problem, null);
  feed.close();
});

test("pages with few events that match are read on without a doubled row", async () => {
  const feed = await shown(300);
  feed.sleep();
  server.happen(40);
  server.most = 5; // the server looks only so far for each answer
  feed.wakeUp();
  await until(() => feed.link?.is === "open", "it goes on");
  assert.deepEqual(ids(feed), range(101, 340));
  feed.close();
});

test("a page that nobody looks at lets go of the server, and goes on afterwards", async () => {
  const feed = await shown(300);
  feed.sleep();
  assert.equal(server.streams.length, 0);
  server.happen(1500);
  feed.wakeUp();
  await until(() => feed.link?.is === "open", "it goes on");
  server.happen(1);
  await until(() => ids(feed).at(-1) === String(server.last), "it is at the end");
  assert.deepEqual(ids(feed), range(101, server.last));

  feed.pause();
  feed.sleep();
  server.happen(3);
  feed.wakeUp();
  await until(() => feed.pending.length === 3, "they are kept aside");
  feed.close();
});

test("what the log has dropped before the list is known to be gone", async () => {
  const feed = await shown(3000);
  feed.pause();
  server.refusals.push({ status: 410, document: { vcenter: "vc1" } });
  await feed.loadOlder();
  assert.equal(feed.hasOlder, false);
  assert.equal(feed.problem, null);
  assert.deepEqual(ids(feed), range(2801, 3000));
  feed.close();
});

test("who signs in while looking at the past is signed in", async () => {
  server.last = 3000;
  const feed = new Feed(() => "vc1");
  await feed.show({ ...everything, until: "2026-11-22T09:00:00Z" });
  server.refusals.push({ status: 401, document: {} });
  await feed.loadOlder();
  assert.equal(feed.problem?.status, 401);
  feed.retry();
  assert.equal(feed.problem, null);
  await feed.loadOlder();
  assert.equal(ids(feed)[0], "1801");
  feed.close();
});

test("an event that came late does not end the way back within a time", async () => {
  server.last = 3000;
  server.late = 2801; // the first one of the first page
  const feed = new Feed(() => "vc1");
  await feed.show({ ...everything, since: event(1000).time });
  assert.equal(feed.hasOlder, true);
  while (feed.hasOlder) await feed.loadOlder();
  assert.deepEqual(ids(feed), range(1000, 3000).filter((id) => id !== "2801"));
  feed.close();
});

test("a time that goes back from now does so from the server's now", async () => {
  server.last = 300;
  server.clock = Date.parse(event(300).time) + 1000;
  const feed = new Feed(() => "vc1");
  await feed.show({ ...everything, since: "11s" });
  const { length } = feed.items;
  assert.ok(length >= 9 && length <= 11, `${length} events of the last 10 s`);
  server.clock = 0;
  await feed.show(everything);
  feed.close();
});

test("trouble with a vCenter is told of in the list of what happens, and not in the past", async () => {
  const feed = await shown(300);
  feed.mark({ cause: "vcenter", text: "", most: null });
  assert.equal(ids(feed).at(-1), "hole vcenter null");
  await feed.show({ ...everything, until: "2026-11-22T09:00:00Z" });
  feed.mark({ cause: "vcenter", text: "", most: null });
  assert.equal(ids(feed).at(-1), "300");
  feed.close();
});

// ---- rows and queries

test("a page that ends before a row of a stream has all that came before it, and not the row", () => {
  const row = rowOf(event(5), "vc1", "vc1.5~vc2.7");
  assert.equal(beforeOf(row), "vc1.5~vc2.8");
  assert.equal(beforeOf({ ...row, vcenter: "vc2" }), "vc1.6~vc2.7");
  assert.equal(beforeOf({ ...row, cursor: "" }), "");
});

test("a name is asked for, or left out, whatever it begins with and has in it", () => {
  for (const [name, written] of [["!important", "*important"], ["a,b", "a*b"], ["db-01", "db-01"]] as const) {
    assert.deepEqual(only(everything, "vm", name).fields.vm, [written]);
    assert.deepEqual(without(everything, "vm", name).fields.vm, ["!" + written]);
  }
});

test("a query is the same after its way through the address", () => {
  for (const text of ["", "?severity=error,!info", "?vm=!web-07,db*&q=a b", "?filter=vm.startsWith(\"a&b=c\") %26%26 true", "?since=15m&until=2026-11-22T09:00:00Z", "?user=%00,&type=!,!x,x,x", "?chain=7&chain=8"]) {
    const { query } = parseQuery(new URLSearchParams(text));
    const again = parseQuery(new URLSearchParams(queryParams(query).toString()));
    assert.deepEqual(again.query, query, text);
    assert.deepEqual(again.unknown, []);
  }
  assert.deepEqual(parseQuery(new URLSearchParams("severty=x&_=1&constructor=2&toString=3")).unknown, ["severty", "constructor", "toString"]);
});
