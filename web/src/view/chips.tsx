import { useState } from "preact/hooks";
import type { App } from "../model/app";
import { drop, type Field, fieldNames, type Part, partsOf } from "../model/query";
import type { Search } from "../model/search";
import { flip } from "../model/typed";
import { visible } from "../text";
import { Close } from "./icons";

/** More values of one field than this share a chip. */
const together = 3;

/** What events have to be, one chip for each value; those to leave out are struck through. */
export function Chips({ app, search }: { app: App; search: Search }) {
  const [unfolded, unfold] = useState<Field | null>(null);
  const parts = partsOf(app.query);
  if (parts.length === 0) return null;
  const folded = (part: Part): part is Part & { field: Field } => "field" in part && part.field !== unfolded && (app.query.fields[part.field]?.length ?? 0) > together;
  const shown = parts.filter((part, i) => !folded(part) || !parts.slice(0, i).some((p) => "field" in p && p.field === part.field));
  return (
    <ul class="chips" aria-label="Filters">
      {shown.map((part) =>
        folded(part) ? (
          <Folded key={part.field} app={app} field={part.field} unfold={() => unfold(part.field)} />
        ) : (
          <Chip key={keyOf(part)} app={app} search={search} part={part} />
        ),
      )}
    </ul>
  );
}

/** Many values of one field, by the name of the view that they are of. */
function Folded({ app, field, unfold }: { app: App; field: Field; unfold: () => void }) {
  const values = app.query.fields[field] ?? [];
  const view = app.views.find((v) => new URLSearchParams(v.query).get(field) === values.join(","));
  const text = `${fieldNames[field]}: ${view ? view.name : `${values.length} values`}`;
  const remove = () => {
    app.setQuery({ ...app.query, fields: { ...app.query.fields, [field]: [] } });
    document.getElementById("search")?.focus({ preventScroll: true });
  };
  return (
    <li class="chip">
      <button type="button" class="plain chip-text" title={`${values.join("\n")}\nClick to see them one by one`} onClick={unfold}><bdi>{text}</bdi></button>
      <button type="button" class="plain chip-remove" aria-label={`Remove ${text}`} title="Remove" onClick={remove}><Close /></button>
    </li>
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
  const value = visible(not ? part.value.slice(1) : part.value);
  return { text: `${fieldNames[part.field]}: ${value}`, not, does: not ? "Click for only these events" : "Click for all events but these" };
}
