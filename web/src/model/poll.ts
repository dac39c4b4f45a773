import { isAbort, type Problem, problemOf, serverNow } from "../api/client";
import { Model } from "./model";

/** How much longer than the server takes for an answer it is left alone: an asker costs it a thirtieth of a core. */
const rest = 30;
/** What of the time of an answer is not the server's, but of the way to it and back. */
const way = 100;
/** The longest time between two questions of a page that is looked at. */
const longestPause = 120_000;
/** An answer that takes so long does not come any more. */
const patience = 60_000;

/**
 * A Poll asks for something again and again, while the page is visible. A slow answer makes it
 * ask less often: it leaves the server alone for thirty times as long as that took.
 */
export abstract class Poll<T> extends Model {
  value: T | null = null;
  /** Why the last answer is missing; value is the one before. */
  problem: Problem | null = null;
  /** When the last answer came, in milliseconds of the server. */
  at = 0;
  /** How long it is from one answer to the next, in milliseconds. */
  pause: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = new AbortController();
  /** When to ask again; infinite while that is not known. */
  private next = Infinity;
  private running = false;

  constructor(protected interval: number) {
    super();
    this.pause = interval;
    if (typeof document !== "undefined") {
      document.addEventListener("visibilitychange", () => {
        if (this.running && !document.hidden && this.next < Infinity) this.wait(this.next - Date.now());
      });
    }
  }

  /** Asks for it. */
  protected abstract ask(signal: AbortSignal): Promise<T>;
  /** What else there is to do when it came. */
  protected took(_value: T): void {}
  /** How many questions at a time the server was asked. */
  protected get questions(): number {
    return 1;
  }

  /** Asks at once, whatever is under way, and then again and again. */
  now(): void {
    this.running = true;
    clearTimeout(this.timer);
    this.asking.abort();
    this.asking = new AbortController();
    void this.once(this.asking.signal);
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.timer);
    this.asking.abort();
  }

  private wait(pause: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), Math.max(0, pause));
  }

  private async once(signal: AbortSignal): Promise<void> {
    const began = performance.now();
    this.next = Infinity;
    try {
      const value = await this.ask(AbortSignal.any([signal, AbortSignal.timeout(patience)]));
      if (signal.aborted) return;
      this.value = value;
      this.problem = null;
      this.at = serverNow();
      const took = Math.max(0, performance.now() - began - way);
      this.pause = Math.max(this.interval, Math.min(longestPause, rest * this.questions * took));
      this.took(value);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.problem = problemOf(error);
      this.pause = Math.max(this.interval, this.problem.retryAfter);
    }
    this.changed();
    if (this.problem?.status === 400) return; // the same question has the same answer
    this.next = Date.now() + this.pause;
    if (typeof document !== "undefined" && document.hidden) return; // until it is looked at
    this.wait(this.pause);
  }
}
