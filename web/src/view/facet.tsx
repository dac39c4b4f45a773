import { useRef, useState } from "preact/hooks";
import { count } from "../format";
import type { App } from "../model/app";
import { drop, type Field, fieldNames, only, toggle, without } from "../model/query";
import { remember, remembered } from "../model/settings";
import { held, isOnly, namedAs, type Value, type Values } from "../model/facetvalues";
import { visible } from "../text";
import { Down, Right } from "./icons";

/** How many values are shown before somebody asks for more, and from how many on they can be searched. */
const few = 10;
const many = 20;

/** The values of a field. While hold, none of them moves. */
export function Facet({ app, field, now, hold }: { app: App; field: Field; now: Values; hold: boolean }) {
  const [folded, setFolded] = useState(() => remembered(`folded.${field}`) === "true");
  const [all, setAll] = useState(false);
  const [text, setText] = useState("");
  const before = useRef<Value[]>(now.values);

  const listed = hold ? held(before.current, now, all) : now;
  before.current = listed.values;
  const shown = all ? search(app, field, listed.values, text) : firstOf(listed.values);
  const more = now.values.length - firstOf(now.values).length + now.others;
  const most = Math.max(1, ...listed.values.map((v) => v.count ?? 0));
  const name = fieldNames[field];

  const fold = () => {
    remember(`folded.${field}`, String(!folded));
    setFolded(!folded);
  };
  return (
    <section class="facet" aria-label={name}>
      <h2>
        <button type="button" class="plain" aria-expanded={!folded} onClick={fold}>
          {folded ? <Right /> : <Down />}
          {name}
          {folded && app.query.fields[field] && <span class="limited"> · chosen</span>}
        </button>
      </h2>
      {!folded && (
        <>
          {all && listed.values.length > many && (
            <input type="search" class="facet-search" placeholder={`Find in ${count(listed.values.length)}`} aria-label={`Find in ${name}`} value={text} onInput={(e) => setText(e.currentTarget.value)} />
          )}
          <ul>
            {shown.map((v) => <ValueRow key={v.value} app={app} field={field} value={v} most={most} />)}
          </ul>
          {all && shown.length === 0 && <p class="facets-note">None of these is called so.</p>}
          {all && now.others > 0 && <p class="facets-note">{count(now.others)} rarer ones are not listed.</p>}
          {(more > 0 || all) && (
            <button
              type="button"
              class="link facet-more"
              aria-expanded={all}
              onClick={() => {
                if (!all) app.facets.more();
                setText("");
                setAll(!all);
              }}
            >
              {all ? "Show fewer" : `… ${count(more)} more`}
            </button>
          )}
        </>
      )}
    </section>
  );
}

/** The first few, and all that the query names. */
function firstOf(values: Value[]): Value[] {
  return values.filter((v, i) => i < few || v.state !== "");
}

function titleOf(app: App, field: Field, value: string): string {
  return field === "type" ? app.catalogue.title(value) : value;
}

function search(app: App, field: Field, values: Value[], text: string): Value[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return values;
  return values.filter((v) => v.value.toLowerCase().includes(wanted) || titleOf(app, field, v.value).toLowerCase().includes(wanted));
}

/** One value: the box adds it or takes it away, its name makes it the only one, and "not" excludes it. */
function ValueRow({ app, field, value: v, most }: { app: App; field: Field; value: Value; most: number }) {
  const { query } = app;
  const name = visible(titleOf(app, field, v.value));
  const dropped = () => drop(query, { field, value: namedAs(query, field, v.value, v.state === "out" ? "out" : "in") });
  const box = () => app.setQuery(v.state === "" ? toggle(query, field, v.value) : dropped());
  const not = () => app.setQuery(v.state === "out" ? dropped() : without(query, field, v.value));
  const one = () => app.setQuery(isOnly(query, field, v.value) ? dropped() : only(query, field, v.value));
  const label = `${fieldNames[field]} ${name}`;
  const way = isOnly(query, field, v.value) ? "click shows the others again" : "click for only these, Alt-click for all but these";
  return (
    <li class={`value${v.state ? ` ${v.state}` : ""}${field === "severity" ? ` ${v.value}` : ""}`}>
      <input type="checkbox" aria-label={v.state === "out" ? `${label}, excluded` : label} checked={v.state === "in"} indeterminate={v.state === "out"} onClick={(e) => {
        e.preventDefault(); // the query says whether it is checked
        box();
      }} />
      <button
        type="button"
        class="plain name"
        title={`${visible(v.value)}\n${way}`}
        aria-label={v.state === "out" ? `${name}, excluded` : `Only ${name}`}
        onClick={(e) => (e.altKey ? not() : one())}
        onKeyDown={(e) => {
          if (e.key !== "Enter" || !e.altKey) return;
          e.preventDefault();
          not();
        }}
      >
        {name}
      </button>
      <span class="share" aria-hidden="true">{v.count !== null && v.count > 0 && <span style={{ width: `${(100 * v.count) / most}%` }} />}</span>
      <span class="count">{v.count === null ? "" : count(v.count)}</span>
      <button type="button" class="not" title={v.state === "out" ? `No longer exclude ${v.value}` : `All but ${v.value} (Alt-click)`} aria-label={v.state === "out" ? `No longer exclude ${name}` : `Not ${name}`} aria-pressed={v.state === "out"} onClick={not}>
        not
      </button>
    </li>
  );
}
