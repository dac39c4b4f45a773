import { isAbort, Problem, problemOf, request, serverNow } from "./client";
import type { Bookmark, CloudEvent, ProblemDocument } from "./types";
import { Wait } from "./wait";

/** An event and where a reader is that has dealt with it. */
export interface Told {
  event: CloudEvent;
  cursor: string;
}

/** How a stream is doing. */
export type Link =
  | { is: "connecting" }
  | { is: "open" }
  /** Lost since a time; the next attempt is at another, both in milliseconds. */
  | { is: "lost"; since: number; retryAt: number; problem: Problem };

export interface Listener {
  told(batch: Told[]): void;
  bookmark(b: Bookmark): void;
  link(l: Link): void;
  /** The server will not go on from here; the stream has ended. */
  refused(p: Problem): void;
}

/** Bookmarks come every 15 seconds; a connection without a word for so long is dead. */
const silence = 45_000;
const shortestWait = 1_000;
const longestWait = 30_000;
/** A connection that has lived so long ended as it should, and the next may come at once. */
const wholeLife = 10_000;

/**
 * A Stream tells the events of a query from a cursor on, as they happen, until it is closed.
 * It comes again by itself, right behind the last event it has told. It reads server-sent
 * events by fetch, for an EventSource hides why it was refused.
 */
export class Stream {
  private readonly stop = new AbortController();
  private open = false;
  private openedAt = 0;
  private attempts = 0;
  private lostAt = 0;
  private readonly wait = new Wait();

  /** Begins to read url, an address of events without a position, behind cursor. */
  constructor(
    private readonly url: string,
    private cursor: string,
    private readonly listener: Listener,
  ) {
    void this.run();
  }

  close(): void {
    this.stop.abort();
    this.wait.end();
  }

  /** Tries at once where it would wait. */
  retry(): void {
    this.wait.end();
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      this.listener.link({ is: "connecting" });
      let problem: Problem;
      try {
        problem = (await this.connect()) ?? ended;
      } catch (error) {
        if (this.stop.signal.aborted) return;
        problem = problemOf(error);
      }
      if (this.stop.signal.aborted) return;
      if (!problem.passes) {
        this.stop.abort();
        this.listener.refused(problem);
        return;
      }
      await this.rest(problem);
    }
  }

  /** Waits before the next attempt: not at all after an announced end, longer each time else. */
  private async rest(problem: Problem): Promise<void> {
    if (problem === ended && this.open && performance.now() - this.openedAt > wholeLife) return;
    const spread = 0.5 + Math.random() / 2;
    const wait = Math.max(problem.retryAfter, spread * Math.min(longestWait, shortestWait * 2 ** this.attempts));
    this.attempts++;
    this.lostAt ||= serverNow();
    this.listener.link({ is: "lost", since: this.lostAt, retryAt: serverNow() + wait, problem });
    await this.wait.for(wait);
  }

  /** Reads one connection to its end, and returns the problem that it ended with, if any. */
  private async connect(): Promise<Problem | null> {
    this.open = false;
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    this.stop.signal.addEventListener("abort", abort);
    let watchdog = setTimeout(abort, silence);
    try {
      const separator = this.url.includes("?") ? "&" : "?";
      const response = await request(`${this.url}${separator}cursor=${encodeURIComponent(this.cursor)}`, {
        headers: { Accept: "text/event-stream" },
        signal: attempt.signal,
      });
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      const decoder = new TextDecoder();
      const blocks = new Blocks();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.stop.signal.aborted) return null;
        clearTimeout(watchdog);
        watchdog = setTimeout(abort, silence);
        const problem = this.deliver(blocks.push(decoder.decode(value, { stream: true })));
        if (problem) return problem;
      }
    } catch (error) {
      if (isAbort(error) && !this.stop.signal.aborted) throw problemOf(null);
      throw error;
    } finally {
      clearTimeout(watchdog);
      this.stop.signal.removeEventListener("abort", abort);
      attempt.abort();
    }
  }

  /** Tells what blocks hold, and returns the problem among them, if any. What is before a block that cannot be read is told. */
  private deliver(blocks: Block[]): Problem | null {
    let batch: Told[] = [];
    const tell = () => {
      if (batch.length > 0) this.listener.told(batch);
      batch = [];
    };
    try {
      for (const block of blocks) {
        const record = JSON.parse(block.data) as CloudEvent;
        if (block.event === "problem") return new Problem(record.data as unknown as ProblemDocument);
        this.opened();
        if (block.id) this.cursor = block.id;
        if (block.event === "") batch.push({ event: record, cursor: this.cursor });
        if (block.event === "bookmark") {
          tell();
          this.listener.bookmark(record.data as unknown as Bookmark);
        }
      }
      return null;
    } finally {
      tell();
    }
  }

  /** A connection counts once it has told anything. */
  private opened(): void {
    if (this.open) return;
    this.open = true;
    this.openedAt = performance.now();
    this.attempts = 0;
    this.lostAt = 0;
    this.listener.link({ is: "open" });
  }
}

/** What a connection ends with that the server ends in order, as it does every half hour. */
const ended = new Problem({ type: "ended", title: "The stream ended", status: 0, detail: "the server ended the stream" });

/** A block of server-sent events. */
export interface Block {
  event: string;
  id: string;
  data: string;
}

/** Blocks takes a stream of server-sent events apart, however it was cut into pieces. */
export class Blocks {
  private rest = "";
  private event = "";
  private id = "";
  private data: string[] = [];

  push(text: string): Block[] {
    const blocks: Block[] = [];
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) blocks.push({ event: this.event, id: this.id, data: this.data.join("\n") });
        this.event = this.id = "";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(": ");
      const value = line.slice(colon + 2);
      switch (line.slice(0, colon)) {
        case "data":
          this.data.push(value);
          break;
        case "id":
          this.id = value;
          break;
        case "event":
          this.event = value;
          break;
      }
    }
    return blocks;
  }
}
