import type { App } from "../model/app";
import { drop, fieldNames, type Part, partsOf } from "../model/query";
import type { Search } from "../model/search";
import { flip } from "../model/typed";
import { Close } from "./icons";

/** What events have to be, one chip for each value; those to leave out are struck through. */
export function Chips({ app, search }: { app: App; search: Search }) {
  const parts = partsOf(app.query);
  if (parts.length === 0) return null;
  return (
    <ul class="chips" aria-label="Filters">
      {parts.map((part) => <Chip key={keyOf(part)} app={app} search={search} part={part} />)}
    </ul>
  );
}

/** A chip stays the same, and keeps the focus, when its value is left out instead. */
function keyOf(part: Part): string {
  return "field" in part ? `${part.field}:${part.value.replace(/^!/, "")}` : Object.keys(part).join();
}

function Chip({ app, search, part }: { app: App; search: Search; part: Part }) {
  const { text, not, does } = said(app, part);
  const edited = ("q" in part && search.editing === "q") || ("filter" in part && search.editing === "filter");
  const press = () => {
    if ("field" in part) {
      app.setQuery(flip(app.query, part));
      return;
    }
    search.edit(part);
    document.getElementById("search")?.focus();
  };
  const remove = () => {
    if (edited) search.clear();
    app.setQuery(drop(app.query, part));
    document.getElementById("search")?.focus({ preventScroll: true });
  };
  return (
    <li class={["chip", not && "not", edited && "edited"].filter(Boolean).join(" ")}>
      <button type="button" class="plain chip-text" title={`${text}\n${does}`} onClick={press}>
        {not && <span class="unseen">Not </span>}
        <bdi>{text}</bdi>
      </button>
      <button type="button" class="plain chip-remove" aria-label={`Remove ${not ? "not " : ""}${text}`} title="Remove" onClick={remove}>
        <Close />
      </button>
    </li>
  );
}

function said(app: App, part: Part): { text: string; not: boolean; does: string } {
  if ("q" in part) return { text: `Text: ${app.query.q}`, not: false, does: "Click to edit" };
  if ("filter" in part) return { text: `CEL: ${app.query.filter}`, not: false, does: "Click to edit" };
  const not = part.value.startsWith("!");
  const value = not ? part.value.slice(1) : part.value;
  return { text: `${fieldNames[part.field]}: ${value}`, not, does: not ? "Click for only these events" : "Click for all events but these" };
}
