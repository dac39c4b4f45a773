import { useEffect, useRef, useState } from "preact/hooks";
import { serverNow } from "../api/client";
import type { App } from "../model/app";
import { momentWords } from "../model/buckets";
import { facetFields } from "../model/counts";
import { useModels } from "../model/model";
import { fieldNames } from "../model/query";
import { completenessWords, limits, valuesOf } from "../model/facetvalues";
import { Facet } from "./facet";
import { Close, Filter } from "./icons";

/** Which values the events have, and how many: to choose from. On narrow pages a button opens them. */
export function Facets({ app }: { app: App }) {
  useModels(app, app.facets, app.catalogue, app.vcenters, app.settings);
  const [open, setOpen] = useState(false);
  const [pointed, setPointed] = useState(false);
  const [focused, setFocused] = useState(false);
  const sheet = useRef<HTMLElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  useEffect(() => {
    if (!open) return;
    sheet.current?.querySelector("button")?.focus();
    const press = (e: PointerEvent) => {
      if (!sheet.current?.contains(e.target as Node) && !button.current?.contains(e.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", press);
    return () => document.removeEventListener("pointerdown", press);
  }, [open]);

  const { facets } = app;
  const failed = facets.problem !== null && facets.stale;
  const limited = limits(app.query, facetFields);
  return (
    <>
      <button ref={button} type="button" class="facets-button" aria-expanded={open} aria-controls="facets" onClick={() => (open ? close() : setOpen(true))}>
        <Filter /> Filters{limited > 0 && ` (${limited})`}
      </button>
      <aside
        ref={sheet}
        id="facets"
        class={`facets${open ? " open" : ""}${facets.stale ? " stale" : ""}`}
        aria-label="Filters"
        aria-busy={facets.stale && !failed}
        onKeyDown={(e) => {
          if (e.key !== "Escape" || !open) return;
          e.preventDefault();
          close();
        }}
        onPointerEnter={() => setPointed(true)}
        onPointerLeave={() => setPointed(false)}
        onFocusIn={(e) => setFocused((e.target as HTMLElement).matches(":focus-visible"))}
        onFocusOut={() => setFocused(false)}
      >
        <div class="facets-head">
          <b>Filters</b>
          <button type="button" class="plain" aria-label="Close the filters" onClick={close}><Close /></button>
        </div>
        {failed ? <Failed app={app} /> : facets.value ? <Fields app={app} hold={pointed || focused} /> : <Loading />}
      </aside>
    </>
  );
}

function Fields({ app, hold }: { app: App; hold: boolean }) {
  const { facets, query } = app;
  const { value } = facets;
  if (!value) return null;
  const several = (app.vcenters.value?.length ?? 0) > 1;
  const clock = (iso: string) => momentWords(Date.parse(iso), 1000, app.settings.utc, serverNow());
  const incomplete = completenessWords(value, clock);
  const all = facetFields
    .filter((field) => field !== "vcenter" || several || query.fields.vcenter)
    .map((field) => ({ field, ...valuesOf(field, value, query) }))
    .filter(({ field, values }) => field === "severity" || values.length > 0);
  return (
    <>
      {incomplete && <p class="facets-note">{incomplete}</p>}
      {all.map(({ field, values, others }) => (
        <Facet key={field} app={app} field={field} now={{ values, others }} hold={hold} />
      ))}
      {all.length === 1 && <p class="facets-note">{value.events === 0 ? "No events to choose values from." : "These events name no objects."}</p>}
    </>
  );
}

function Failed({ app }: { app: App }) {
  return (
    <div class="facets-note" role="status">
      <p>The values could not be counted: {app.facets.problem?.message}</p>
      <button type="button" onClick={() => app.facets.now()}>Try again</button>
    </div>
  );
}

/** What is there before the first counts: the places of what comes. */
function Loading() {
  return (
    <div class="facets-loading" role="status">
      <span class="unseen">Counting…</span>
      {[4, 6, 5].map((n, i) => (
        <div key={i} class="facet" aria-hidden="true">
          <b>{[fieldNames.severity, fieldNames.type, fieldNames.vm][i]}</b>
          {Array.from({ length: n }, (_, k) => <div key={k} class="bone" />)}
        </div>
      ))}
    </div>
  );
}
