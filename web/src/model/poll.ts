import { isAbort, type Problem, problemOf } from "../api/client";
import { Model } from "./model";

/**
 * A Poll asks for something again and again, while the page is visible. A slow answer makes it
 * ask less often: it leaves the server alone for twenty times as long as that took.
 */
export abstract class Poll<T> extends Model {
  value: T | null = null;
  /** Why the last answer is missing; value is the one before. */
  problem: Problem | null = null;
  /** When the last answer came, in milliseconds. */
  at = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = new AbortController();
  private running = false;

  constructor(private readonly interval: number) {
    super();
    if (typeof document !== "undefined") {
      document.addEventListener("visibilitychange", () => {
        if (this.running && !document.hidden) this.now();
      });
    }
  }

  /** Asks for it. */
  protected abstract ask(signal: AbortSignal): Promise<T>;
  /** What else there is to do when it came. */
  protected took(_value: T): void {}

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

  private async once(signal: AbortSignal): Promise<void> {
    const began = performance.now();
    try {
      const value = await this.ask(signal);
      if (signal.aborted) return;
      this.value = value;
      this.problem = null;
      this.at = Date.now();
      this.took(value);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      this.problem = problemOf(error);
    }
    this.changed();
    if (typeof document !== "undefined" && document.hidden) return; // until it is looked at
    const pause = Math.max(this.interval, 20 * (performance.now() - began), this.problem?.retryAfter ?? 0);
    this.timer = setTimeout(() => this.now(), pause);
  }
}
