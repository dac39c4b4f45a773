import { useState } from "preact/hooks";
import type { CloudEvent } from "../api/types";
import { date, time, zone } from "../format";
import type { App } from "../model/app";
import type { Advice } from "../model/advice";
import { type Fact, type Facts, factsOf, type Value, valuesOf } from "../model/facts";
import { drop, fieldNames, only, without } from "../model/query";
import type { Row } from "../model/row";
import { visible } from "../text";
import { Copy, Minus, Plus } from "./icons";

/** What an event says: what can be filtered by, the rest, and what vCenter advises. */
export function Details({ app, row, event }: { app: App; row: Row; event: CloudEvent | null }) {
  const advice = app.catalogue.advice(row.type);
  return (
    <>
      <dl class="fact-list">
        {valuesOf(row, event).map((v) => <ValueRow key={v.field} app={app} {...v} />)}
      </dl>
      {advice && <AdviceBox advice={advice} title={app.catalogue.title(row.type)} />}
      {event?.truncated && <p class="remark">The event was larger than the log keeps. Only what all events have is left of it.</p>}
      {event?.eventclass === "unknown" && <p class="remark">vstream does not know events of this kind. What vCenter sent is in Xml below data, in the tab JSON.</p>}
      {event && factsOf(event).map((facts) => <FactsList key={facts.title} app={app} {...facts} />)}
      {!event && <p class="remark" role="status">Loading the rest…</p>}
    </>
  );
}

function ValueRow({ app, field, value }: Value & { app: App }) {
  const name = fieldNames[field];
  const shown = visible(value);
  const limits = app.query.fields[field] ?? [];
  const wanted = value.replaceAll(",", "*"); // as query.ts writes it
  const isOnly = limits.length === 1 && limits[0] === wanted;
  const isOut = limits.includes("!" + wanted);
  const filter = isOnly ? drop(app.query, { field, value: wanted }) : only(app.query, field, value);
  const exclude = isOut ? drop(app.query, { field, value: "!" + wanted }) : without(app.query, field, value);
  const tip = (text: string) => ({ "aria-label": text, title: text });
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd class={field === "severity" ? `severity ${value}` : undefined}><Breaking text={shown} /></dd>
      <dd class="acts">
        <button type="button" class="small" aria-pressed={isOnly} {...tip(`Only ${name}: ${shown}`)} onClick={() => app.setQuery(filter)}><Plus /></button>
        <button type="button" class="small" aria-pressed={isOut} {...tip(`Not ${name}: ${shown}`)} onClick={() => app.setQuery(exclude)}><Minus /></button>
        <button type="button" class="small" {...tip(`Copy ${name}: ${shown}`)} onClick={() => void app.copy(value, shown)}><Copy /></button>
      </dd>
    </div>
  );
}

/** A name that is broken, where it has to be, behind what joins its parts. */
export function Breaking({ text }: { text: string }) {
  return <>{text.slice(0, 500).split(/(?<=[.@\\/_-])/).map((part, i) => (i === 0 ? part : <><wbr />{part}</>))}{text.slice(500)}</>;
}

/** So many facts of a group are shown at first. */
const mostFacts = 40;

function FactsList({ app, title, facts }: Facts & { app: App }) {
  const [all, setAll] = useState(false);
  const shown = all ? facts : facts.slice(0, mostFacts);
  return (
    <section class="facts-of" aria-label={title || "More of the event"}>
      {title && <h3>{visible(title)}</h3>}
      <dl class="fact-list">
        {shown.map((fact, i) => <FactRow key={`${i} ${fact.name}`} app={app} {...fact} />)}
      </dl>
      {shown.length < facts.length && <button type="button" class="link" onClick={() => setAll(true)}>Show {facts.length - shown.length} more</button>}
    </section>
  );
}

function FactRow({ app, name, value }: Fact & { app: App }) {
  const shown = visible(name);
  return (
    <div class="fact">
      <dt>{shown}</dt>
      <dd><Folded text={inZone(value, app.settings.utc)} /></dd>
      <dd class="acts">
        <button type="button" class="small" aria-label={`Copy ${shown}`} title={`Copy ${shown}`} onClick={() => void app.copy(value, shown)}><Copy /></button>
      </dd>
    </div>
  );
}

/** A time in the time zone of the page; other texts as they are. */
function inZone(text: string, utc: boolean): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return text;
  const at = Date.parse(text);
  return Number.isFinite(at) ? `${date(at, utc)} ${time(at, utc)} (${zone(at, utc)})` : text;
}

/** A text is folded from so many characters on. */
const long = 300;

/** A text of which, where it is long, only the beginning is shown until somebody wants more. */
export function Folded({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  if (text.length <= long) return <>{visible(text)}</>;
  return (
    <>
      {visible(open ? text : text.slice(0, long) + "…")}{" "}
      <button type="button" class="link" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Show less" : "Show all"}</button>
    </>
  );
}

function AdviceBox({ advice, title }: { advice: Advice; title: string }) {
  const { description, causes } = advice;
  const told = description !== "" && description.toLowerCase() !== title.toLowerCase();
  const onlyCause = causes.length === 1 ? causes[0] : undefined;
  return (
    <section class="advice" aria-label="What vCenter says of such events">
      {told && <p>{visible(description)}</p>}
      {causes.length > 0 && <h3>Possible causes</h3>}
      {onlyCause ? (
        <>
          <p>{visible(onlyCause.description)}</p>
          {onlyCause.actions.length > 0 && <h3>Actions</h3>}
          <Actions actions={onlyCause.actions} />
        </>
      ) : (
        <ol>
          {causes.map((cause, i) => (
            <li key={i}>
              {visible(cause.description)}
              {cause.actions.length > 0 && <p class="then">Actions</p>}
              <Actions actions={cause.actions} />
            </li>
          ))}
        </ol>
      )}
      <p class="source">From vCenter’s own event catalogue</p>
    </section>
  );
}

function Actions({ actions }: { actions: string[] }) {
  if (actions.length < 2) return <>{actions.map((a) => <p key={a}>{visible(a)}</p>)}</>;
  return <ul>{actions.map((a, i) => <li key={i}>{visible(a)}</li>)}</ul>;
}
