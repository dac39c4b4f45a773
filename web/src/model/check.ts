import { getJSON, isAbort, type Problem, problemOf } from "../api/client";
import { Model } from "./model";

/** What is known of an expression. */
export type Verdict = { is: "none" } | { is: "checking" } | { is: "good" } | { is: "bad"; problem: Problem };

/** How long somebody has to stop typing before the server is asked. */
const pause = 300;

/** A Check is what the server says of the expression that somebody types. */
export class Check extends Model {
  expression = "";
  verdict: Verdict = { is: "none" };
  private stop = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Asks about an expression soon, and no longer about the one before; none is empty. */
  of(expression: string): void {
    if (expression === this.expression && this.verdict.is !== "none") return;
    this.begin(expression);
    if (expression) this.timer = setTimeout(() => void this.ask(), pause);
  }

  /** Asks now, and returns what is known then; null where something else was typed meanwhile. */
  async now(expression: string): Promise<Verdict | null> {
    if (expression === this.expression && this.verdict.is === "good") return this.verdict;
    this.begin(expression);
    return await this.ask();
  }

  private begin(expression: string): void {
    clearTimeout(this.timer);
    this.stop.abort();
    this.expression = expression;
    // What is said of the former text stays until there is something better to say.
    this.verdict = expression === "" ? { is: "none" } : this.verdict.is === "bad" ? this.verdict : { is: "checking" };
    this.changed();
  }

  private async ask(): Promise<Verdict | null> {
    const stop = (this.stop = new AbortController());
    try {
      const params = new URLSearchParams({ limit: "1", offset: "latest", filter: this.expression });
      await getJSON<unknown>("/events", params, stop.signal);
      this.verdict = { is: "good" };
    } catch (error) {
      if (isAbort(error) || stop.signal.aborted) return null;
      this.verdict = { is: "bad", problem: problemOf(error) };
    }
    this.changed();
    return this.verdict;
  }
}

/** Where in a text a line and a column are that count characters from 1. */
export function placeIn(text: string, line: number, column: number): { line: string; at: number; index: number } {
  const lines = text.split("\n");
  const before = lines.slice(0, Math.max(0, line - 1));
  const on = lines[before.length] ?? "";
  const at = [...on].slice(0, Math.max(0, column - 1)).join("").length;
  return { line: on, at, index: before.reduce((n, l) => n + l.length + 1, 0) + at };
}
