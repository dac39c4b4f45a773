import type { App } from "./app";
import { Check } from "./check";
import { Model } from "./model";
import { drop, type Part, type Query } from "./query";
import type { Suggestion } from "./suggest";
import { type Kind, kindOf, readTyped, want } from "./typed";
import { Values } from "./values";

/** A Search is what somebody types into the search field, until it becomes a part of the query. */
export class Search extends Model {
  text = "";
  /** What of the query was taken back into the field, and is replaced by what comes of it. */
  editing: "q" | "filter" | null = null;
  /** What the expression is worth. */
  readonly check = new Check();
  /** What the field that is typed could be. */
  readonly values = new Values();
  private chosen: Kind | null = null;

  constructor(private readonly app: Pick<App, "query" | "setQuery">) {
    super();
  }

  /** What the text is taken for: what it looks like, unless somebody has chosen. */
  get kind(): Kind {
    return this.chosen ?? kindOf(this.text);
  }

  type(text: string): void {
    this.text = text;
    if (text === "" && this.editing === null) this.chosen = null;
    this.look();
  }

  choose(kind: Kind): void {
    this.chosen = kind;
    this.look();
  }

  /** Takes the text or the expression of the query back into the field. */
  edit(part: Part): void {
    if ("field" in part) return;
    const what = "q" in part ? "q" : "filter";
    this.editing = what;
    this.chosen = what === "q" ? "text" : "cel";
    this.text = what === "q" && readTyped(this.app.query.q).wanted.length > 0 ? `"${this.app.query.q}"` : this.app.query[what];
    this.look();
  }

  clear(): void {
    this.text = "";
    this.editing = null;
    this.chosen = null;
    this.look();
  }

  /** Makes the text a part of the query; false if it is an expression that does not compile. */
  async apply(): Promise<boolean> {
    const { text, kind } = this;
    const { query } = this.app;
    if (text.trim() === "") {
      this.become(this.editing ? drop(query, this.editing === "q" ? { q: true } : { filter: true }) : query);
      return true;
    }
    if (kind === "cel") {
      const verdict = await this.check.now(text);
      if (verdict?.is !== "good" || text !== this.text) return false;
      this.become({ ...this.replaced(), filter: text.trim() });
      return true;
    }
    const { wanted, q } = readTyped(text);
    const filtered = wanted.reduce(want, this.replaced());
    this.become(q ? { ...filtered, q } : filtered);
    return true;
  }

  /** Makes a suggestion a part of the query, or of the text where more is to come. */
  take(suggestion: Suggestion): void {
    if (suggestion.is === "field") {
      this.type(suggestion.text);
      return;
    }
    const { wanted, open, q } = readTyped(this.text);
    const { field, value, not } = suggestion;
    const before = open ? wanted.filter((w) => w.field !== open.field || w.value !== open.value) : [];
    const query = [...before, { field, value, not }].reduce(want, this.replaced());
    this.become(open && q ? { ...query, q } : query);
  }

  /** The query without what is being edited. */
  private replaced(): Query {
    return this.editing ? { ...this.app.query, [this.editing]: "" } : this.app.query;
  }

  private become(query: Query): void {
    this.clear();
    this.app.setQuery(query);
  }

  private look(): void {
    const open = this.kind === "text" ? readTyped(this.text).open : null;
    this.values.of(open?.field ?? null, open?.value ?? "", this.app.query);
    this.check.of(this.kind === "cel" && this.text.trim() !== "" ? this.text : "");
    this.changed();
  }
}
