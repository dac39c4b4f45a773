import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { count } from "../format";
import type { App } from "../model/app";
import { placeIn } from "../model/check";
import { useModels } from "../model/model";
import { fieldNames } from "../model/query";
import type { Search } from "../model/search";
import { type Suggestion, suggestionsFor } from "../model/suggest";
import { type Kind, readTyped } from "../model/typed";
import { visible } from "../text";
import { Chips } from "./chips";
import { CheckWords } from "./verdict";

/** The filters, and the field for more of them. */
export function SearchBox({ app, search }: { app: App; search: Search }) {
  useModels(app, app.facets, search, search.check, search.values);
  const field = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const { text, kind } = search;
  const cel = kind === "cel";
  const long = text.includes("\n");
  const suggestions = open && !cel ? suggestionsFor(text, app.facets.value, search.values) : [];
  const shown = suggestions.length > 0;
  const marked = shown ? suggestions[active] : undefined;
  useRefocus(field, long);

  const type = (value: string) => {
    search.type(value);
    setOpen(true);
    setActive(-1);
  };
  const take = (s: Suggestion) => {
    search.take(s);
    setOpen(s.is === "field");
    setActive(-1);
    field.current?.focus();
  };
  const enter = async () => {
    if (marked) {
      take(marked);
      return;
    }
    setOpen(false);
    if (!(await search.apply())) showFault(field.current, search);
  };
  const key = (e: KeyboardEvent) => {
    if (e.isComposing) return;
    if (e.key === "Enter" && !(cel && e.shiftKey)) void enter();
    else if (e.key === "Escape") escape();
    else if (e.key === "Backspace" && text === "") lastRemove(field.current)?.focus();
    else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && !cel && !long) {
      setOpen(true);
      const n = suggestions.length;
      if (shown) setActive(e.key === "ArrowDown" ? (active + 2) % (n + 1) - 1 : (active + 1 + n) % (n + 1) - 1);
    } else return;
    e.preventDefault();
  };
  const escape = () => {
    if (shown) setOpen(false);
    else if (text !== "" || search.editing) search.clear();
    else field.current?.blur();
  };
  const paste = (e: ClipboardEvent) => {
    const pasted = e.clipboardData?.getData("text/plain") ?? "";
    const at = field.current;
    if (!/\n./.test(pasted.trim()) || !at) return; // an input would join the lines
    e.preventDefault();
    const start = at.selectionStart ?? text.length;
    type(text.slice(0, start) + pasted.trim().replaceAll("\r\n", "\n") + text.slice(at.selectionEnd ?? start));
  };
  const common = {
    ref: field,
    id: "search",
    value: text,
    spellcheck: false,
    autocomplete: "off" as const,
    placeholder: cel ? 'vm.startsWith("db-") && severity != "info"' : "Search text, vm:name, or CEL: vm.startsWith(\"db-\")",
    "aria-label": cel ? "Expression in CEL" : "Search text, or field:value",
    "aria-describedby": "search-check",
    "aria-invalid": cel && search.check.verdict.is === "bad",
    onInput: (e: Event) => type((e.target as HTMLInputElement).value),
    onKeyDown: key,
    onPaste: paste,
    onBlur: () => setOpen(false),
  };
  return (
    <div class="search">
      <div class={search.check.verdict.is === "bad" ? "search-box bad" : "search-box"} onPointerDown={(e) => toField(e, field.current)}>
        <div class="search-parts">
          <Chips app={app} search={search} />
          {long ? (
            <textarea {...common} class={cel ? "mono" : ""} rows={Math.min(8, text.split("\n").length)} />
          ) : (
            <input
              {...common} type="text" class={cel ? "mono" : ""} role="combobox" aria-autocomplete="list" aria-expanded={shown}
              aria-controls="suggestions" aria-activedescendant={marked ? `suggestion-${active}` : undefined}
            />
          )}
        </div>
        <div class="search-end">
          <Switch kind={kind} onChoose={(k) => { search.choose(k); field.current?.focus(); }} />
          <kbd aria-hidden="true" title="Press / to search">/</kbd>
        </div>
      </div>
      <ul id="suggestions" class={shown ? "below suggestions" : "below"} role="listbox" aria-label="Suggestions" hidden={!shown}>
        {suggestions.map((s, i) => <Option key={JSON.stringify(s)} id={`suggestion-${i}`} suggestion={s} active={i === active} onTake={() => take(s)} />)}
      </ul>
      <div id="search-check" class={cel && text ? "below check" : "check-none"} role="status" aria-live="polite">
        {cel && <CheckWords expression={search.check.expression} verdict={search.check.verdict} />}
        {!cel && open && <span class="unseen">{suggestions.length > 0 ? `${suggestions.length} suggestions` : ""}{enterDoes(text)}</span>}
      </div>
    </div>
  );
}

/** What Enter makes of a text, for those who do not see the chips that come of it. */
function enterDoes(text: string): string {
  const { wanted, q } = readTyped(text);
  if (wanted.length === 0) return q ? "; Enter searches the text" : "";
  return `; Enter filters by ${wanted.map((w) => `${fieldNames[w.field]} ${w.not ? "not " : ""}${w.value}`).join(", ")}`;
}

function Option({ id, suggestion: s, active, onTake }: { id: string; suggestion: Suggestion; active: boolean; onTake: () => void }) {
  return (
    <li id={id} role="option" aria-selected={active} onPointerDown={(e) => e.preventDefault()} onClick={onTake}>
      <span class="of">{fieldNames[s.field]}{s.is === "value" && s.not && " not"}</span>
      {s.is === "field" ? <code>{s.text}</code> : <bdi title={visible(s.value)}>{visible(s.value)}</bdi>}
      {s.is === "value" && s.count !== null && <span class="n">{count(s.count)}</span>}
    </li>
  );
}

/** What the text is taken for, and the choice. */
function Switch({ kind, onChoose }: { kind: Kind; onChoose: (kind: Kind) => void }) {
  const names: Record<Kind, string> = { text: "Text", cel: "CEL" };
  const titles: Record<Kind, string> = { text: "Take it for text to find, or field:value", cel: "Take it for an expression in CEL" };
  return (
    <div class="switch" role="group" aria-label="What the text is taken for">
      {(["text", "cel"] as const).map((k) => (
        <button key={k} type="button" class="plain" aria-pressed={kind === k} title={titles[k]} onClick={() => onChoose(k)}>{names[k]}</button>
      ))}
    </div>
  );
}

/** Keeps the focus where a text of several lines changes the element. */
function useRefocus(field: { current: HTMLInputElement | null }, long: boolean): void {
  const first = useRef(true);
  useLayoutEffect(() => {
    if (!first.current && field.current) {
      const end = field.current.value.length;
      field.current.focus();
      field.current.setSelectionRange(end, end);
    }
    first.current = false;
  }, [long]);
}

/** Goes to what is wrong in the field. */
function showFault(field: HTMLInputElement | null, search: Search): void {
  const { verdict } = search.check;
  field?.focus();
  const error = verdict.is === "bad" ? verdict.problem.document.errors?.[0] : undefined;
  if (!field || !error) return;
  const { index } = placeIn(search.text, error.line, error.column);
  field.setSelectionRange(index, index);
}

/** A click beside the chips is one into the field. */
function toField(e: PointerEvent, field: HTMLElement | null): void {
  if (!(e.target instanceof HTMLElement) || e.target.closest("button, input, textarea")) return;
  e.preventDefault();
  field?.focus();
}

function lastRemove(field: HTMLElement | null): HTMLElement | undefined {
  return [...(field?.parentElement?.querySelectorAll<HTMLElement>(".chip-remove") ?? [])].at(-1);
}
