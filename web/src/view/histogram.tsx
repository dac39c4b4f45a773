import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { serverNow } from "../api/client";
import { count, span, time } from "../format";
import type { App } from "../model/app";
import { bucketAt, endsOf, eventWords, momentWords, severityWords, type Strip, stretchOf, stretchWords, stripOf, summaryOf } from "../model/buckets";
import { useModels } from "../model/model";
import { gapsOf, stretchesOf } from "../model/stretches";
import { Plot } from "./plot";
import { Readout } from "./readout";

/** Counts that are older than so long say when they were taken. */
const old = 15_000;
/** A pointer that has moved less has clicked. */
const still = 4;

/** What somebody points at or has chosen, as moments; the keys' stays when the pointer goes. */
interface Chosen {
  at: number;
  /** Where what is chosen begins, if it is more than one bucket. */
  anchor: number | null;
  by: "pointer" | "keys";
}

/** How many events there were when, over the whole range, as the server counts them. */
export function Histogram({ app }: { app: App }) {
  useModels(app, app.histogram, app.vcenters, app.settings);
  const { histogram, settings, vcenters } = app;
  const { utc, theme } = settings;
  const { value, counted, at } = histogram;
  const failed = histogram.stale && histogram.problem !== null;
  const fresh = useMemo(() => (value && counted && !failed ? stripOf(value, counted, at) : null), [value, failed]);

  const [chosen, setChosen] = useState<Chosen | null>(null);
  const drag = useRef<{ x: number; at: number; strip: Strip } | null>(null);
  const strip = drag.current?.strip ?? fresh; // it stands still while somebody draws on it
  const canvas = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  useEffect(() => {
    if (!canvas.current) return;
    const p = (plot.current = new Plot(canvas.current));
    return () => p.close();
  }, []);
  const now = serverNow();
  const ends = strip ? endsOf(strip, utc, now) : ["", ""];
  useEffect(() => plot.current?.show(strip, utc, ends), [strip, utc, theme]);
  useLayoutEffect(() => setChosen(null), [counted && counted.since + counted.until]);

  const stretches = useMemo(
    () => (strip && value ? stretchesOf(strip, { histogram: value, begins: histogram.begins, outages: vcenters.outages, gaps: gapsOf(app.feed.items) }, utc) : []),
    [strip, value, vcenters.at, utc, app.feed.generation],
  );

  const buckets = strip?.buckets.length ?? 0;
  const ready = strip !== null && buckets > 0;
  const pointed = ready && chosen ? bucketAt(strip, chosen.at) : null;
  const anchor = ready && chosen?.anchor != null ? (bucketAt(strip, chosen.anchor) ?? 0) : null;
  const marked = ready && pointed !== null ? stretchOf(strip, anchor ?? pointed, pointed) : null;

  const zoom = (a: number, b: number) => {
    if (!strip || histogram.stale) return;
    const { from, to } = stretchOf(strip, a, b);
    setChosen(null);
    if (app.query.until && from <= strip.from && to >= strip.to) {
      app.say("This is as near as it goes; Esc zooms out");
      return;
    }
    app.zoom(from, to);
  };

  const atOf = (e: JSX.TargetedPointerEvent<HTMLElement>, strip: Strip): number => {
    const box = e.currentTarget.getBoundingClientRect();
    const share = Math.min(0.999999, Math.max(0, (e.clientX - box.left) / box.width));
    return strip.from + share * (strip.to - strip.from);
  };
  const press = (e: JSX.TargetedPointerEvent<HTMLElement>) => {
    if (!ready || e.button !== 0) return;
    e.currentTarget.setPointerCapture(e.pointerId);
    drag.current = { x: e.clientX, at: atOf(e, strip), strip };
  };
  const move = (e: JSX.TargetedPointerEvent<HTMLElement>) => {
    if (!ready) return;
    const begun = drag.current;
    const far = begun !== null && (chosen?.anchor != null || Math.abs(e.clientX - begun.x) >= still);
    setChosen({ at: atOf(e, strip), anchor: far ? begun.at : null, by: "pointer" });
  };
  const release = (e: JSX.TargetedPointerEvent<HTMLElement>) => {
    const begun = drag.current;
    drag.current = null;
    if (!begun || !strip) return;
    const end = bucketAt(strip, atOf(e, strip));
    const begin = chosen?.anchor != null ? bucketAt(strip, begun.at) : end;
    if (begin !== null && end !== null) zoom(begin, end);
  };
  const leave = () => {
    if (!drag.current && chosen?.by === "pointer") setChosen(null);
  };

  const keys = (e: KeyboardEvent) => {
    if (e.key === "Escape" && (drag.current || chosen?.by === "keys")) {
      drag.current = null;
      setChosen(null);
      e.preventDefault();
      return;
    }
    if (!ready || e.ctrlKey || e.metaKey || e.altKey) return;
    const i = pointed ?? buckets;
    const steps: Record<string, number> = { ArrowLeft: i - 1, ArrowRight: pointed === null ? buckets - 1 : i + 1, Home: 0, End: buckets - 1 };
    const to = steps[e.key];
    if (to !== undefined) {
      const next = strip.from + (Math.min(buckets - 1, Math.max(0, to)) + 0.5) * strip.width;
      setChosen({ at: next, anchor: e.shiftKey && chosen ? (chosen.anchor ?? chosen.at) : null, by: "keys" });
      e.preventDefault();
    } else if (e.key === "Enter" && pointed !== null) {
      zoom(anchor ?? pointed, pointed);
      e.preventDefault();
    }
  };

  const place = (from: number, to: number) => {
    const whole = strip ? strip.to - strip.from : 1;
    return { left: `${(100 * (from - (strip?.from ?? 0))) / whole}%`, width: `${(100 * (to - from)) / whole}%` };
  };
  const share = marked && strip ? ((marked.from + marked.to) / 2 - strip.from) / (strip.to - strip.from) : 0;
  const sums = marked && strip ? sumOf(strip, marked) : null;
  const words = strip ? summaryOf(strip, utc, now) : "";
  return (
    <section class={`histogram${histogram.stale ? " stale" : ""}`} aria-label="Events over time" aria-busy={histogram.stale && !failed}>
      <div
        class="strip"
        {...(ready
          ? {
              role: "slider" as const,
              tabIndex: 0,
              "aria-label": "Time",
              "aria-describedby": "histogram-summary",
              "aria-valuemin": 0,
              "aria-valuemax": buckets - 1,
              "aria-valuenow": pointed ?? buckets - 1,
              "aria-valuetext": marked && sums ? `${stretchWords(marked, strip.width, utc, now)}, ${eventWords(sums.total)}${sums.total > 0 ? `: ${severityWords(sums)}` : ""}` : "no time chosen",
            }
          : {})}
        onPointerDown={press}
        onPointerMove={move}
        onPointerUp={release}
        onPointerCancel={() => {
          drag.current = null;
          setChosen(null);
        }}
        onPointerLeave={leave}
        onKeyDown={keys}
        onBlur={() => setChosen(null)}
      >
        <div ref={canvas} class="canvas" aria-hidden="true" />
        {stretches.map((s) => <div key={`${s.from} ${s.why}`} class={s.mild ? "stretch mild" : "stretch"} style={place(s.from, s.to)} title={s.why} />)}
        {marked && <div class={anchor !== null ? "marked several" : "marked"} style={place(marked.from, marked.to)} />}
        <span class="edge">{ends[0]}</span>
        <span class="edge last">{ends[1]}</span>
        {sums && marked && strip && !histogram.stale && <Readout share={share} title={stretchWords(marked, strip.width, utc, now)} counts={sums} several={anchor !== null} />}
      </div>
      <p class="peak">
        {failed && `Not counted: ${histogram.problem?.message}`}
        {!failed && !value && "Counting…"}
        {!failed && value && !ready && (app.query.since || app.query.until ? "No events in this time" : "No events yet")}
        {ready && strip.most === 0 && "No events match in this time"}
        {ready && strip.most > 0 && `Highest: ${count(strip.most)} in ${span(strip.width)}`}
        {ready && strip.root && <span title="Heights are as the square roots of the counts, for one bar is far above the others"> · square-root scale</span>}
        {ready && value && !value.complete && (value.completeSince ? ` · counts complete since ${momentWords(Date.parse(value.completeSince), 1000, utc, now)}` : " · counts not complete yet")}
        {ready && histogram.pause > old && strip.open && ` · counted at ${time(at, utc).slice(0, 8)}`}
      </p>
      <p id="histogram-summary" class="unseen">
        {words}
        {stretches.length > 0 && `. ${stretches.map((s) => s.why).join(". ")}`}
        {ready && ". Arrows move, Shift and arrows choose, Enter zooms in, Esc zooms out."}
      </p>
    </section>
  );
}

/** What happened in a part of a strip. */
function sumOf(strip: Strip, { from, to }: { from: number; to: number }): Strip["buckets"][number] {
  const sum = { at: from, total: 0, error: 0, warning: 0, user: 0, info: 0, other: 0 };
  for (const b of strip.buckets) {
    if (b.at < from || b.at >= to) continue;
    sum.total += b.total;
    sum.error += b.error;
    sum.warning += b.warning;
    sum.user += b.user;
    sum.info += b.info;
    sum.other += b.other;
  }
  return sum;
}
