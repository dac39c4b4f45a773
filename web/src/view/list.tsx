import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { serverNow } from "../api/client";
import { count, date, time, zone } from "../format";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { type Hole, isHole, type Item, type Row } from "../model/row";
import { visible } from "../text";
import { Empty } from "./empty";
import { HoleRow } from "./hole";
import { useVirtual } from "./virtual";

/** The height of a row in pixels, which list.css has too. */
const rowHeight = 24;
/** How much of a message a row has, in characters: more than any screen shows of it. */
const mostOfMessage = 30_000;
/** How near the end of what is loaded more is asked for, in rows. */
const ahead = 60;

export function List({ app }: { app: App }) {
  useModels(app, app.feed, app.settings, app.catalogue, app.vcenters);
  const { feed, settings } = app;
  const newestFirst = settings.order === "newest";
  const n = feed.items.length;
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtual(scroll, n, rowHeight);
  const indexOf = (i: number) => (newestFirst ? n - 1 - i : i);
  const point = usePointing(app);
  useSteadyPlace(app, scroll, newestFirst);
  useSelectedInView(app, scroll, indexOf);

  const rows = virtual.getVirtualItems();
  const oldest = rows.length > 0 ? (newestFirst ? n - 1 - (rows.at(-1)?.index ?? 0) : (rows[0]?.index ?? 0)) : 0;
  const newest = rows.length > 0 ? (newestFirst ? (rows[0]?.index ?? 0) : n - 1 - (rows.at(-1)?.index ?? 0)) : 0;
  useEffect(() => {
    if (feed.phase !== "ready" || n === 0 || feed.problem) return;
    if (oldest < ahead && feed.hasOlder && !feed.searching) void feed.loadOlder();
    if (newest < ahead && feed.hasNewer) void feed.loadNewer();
  });

  const several = (app.vcenters.value?.length ?? 0) > 1;
  const columns = ["Time", "Severity", "Event", "Target", ...(several ? ["vCenter"] : []), "User", "Message", "Offset"];
  const today = date(serverNow(), settings.utc);
  const first = feed.items[0];
  const days = first !== undefined && date(first.at, settings.utc) !== today;
  const arrived = feed.pending.length;
  return (
    <section class={`list${several ? " several" : ""}${days ? " days" : ""}${feed.phase === "loading" ? " stale" : ""}`} aria-label="Events">
      {arrived > 0 && (
        <button type="button" class="arrived" onClick={() => feed.resume()}>
          {count(arrived)}
          {feed.overflowed && "+"} new event{arrived === 1 ? "" : "s"} {feed.paused ? "since you paused" : "while you point"} · jump to newest <kbd>G</kbd>
        </button>
      )}
      <div
        class="grid"
        role="grid"
        tabIndex={0}
        aria-rowcount={feed.hasOlder || feed.hasNewer ? -1 : n + 1}
        aria-activedescendant={app.selected && rows.some((r) => keyAt(feed.items, indexOf(r.index)) === app.selectedKey) ? idOf(app.selectedKey) : undefined}
        aria-label="Events, one a row"
      >
        <div class="row heads" role="row" aria-rowindex={1}>
          {columns.map((name) => (
            <div key={name} class={`cell ${name.toLowerCase()}`} role="columnheader">
              {name === "Time" ? (
                <button type="button" class="plain" title="Local time or UTC (t)" onClick={() => settings.setUTC(!settings.utc)}>
                  Time ({settings.utc ? "UTC" : zone(serverNow(), false)})
                </button>
              ) : name === "Offset" ? (
                <button type="button" class="plain" title="Newest or oldest on top (o)" aria-label={`Offset, ${settings.order} on top`} onClick={() => app.setOrder(newestFirst ? "oldest" : "newest")}>
                  Offset {newestFirst ? "↓" : "↑"}
                </button>
              ) : (
                name
              )}
            </div>
          ))}
        </div>
        <div
          ref={scroll}
          class="scroll"
          role="presentation"
          onScroll={() => scrolled(app, scroll.current, newestFirst)}
          onPointerMove={(e) => e.pointerType === "mouse" && point(true)}
          onPointerLeave={() => point(false)}
        >
          <div class="all" role="rowgroup" style={{ height: `${virtual.getTotalSize()}px` }}>
            {rows.map((r) => {
              const index = indexOf(r.index);
              const item = feed.items[index];
              if (!item) return null;
              const place = { transform: `translateY(${r.start}px)` };
              return isHole(item) ? (
                <HoleRow key={item.key} app={app} hole={item as Hole} index={r.index} place={place} />
              ) : (
                <EventRow key={item.key} app={app} row={item} index={r.index} odd={(index - feed.rows.oldEnd) % 2 !== 0} place={place} several={several} today={today} />
              );
            })}
          </div>
          <div role="row">
            <div role="gridcell">{n === 0 ? <Empty app={app} /> : <End app={app} />}</div>
          </div>
        </div>
      </div>
    </section>
  );
}

function keyAt(items: readonly Item[], index: number): string {
  return items[index]?.key ?? "";
}

/** The id of a row in the document. */
export function idOf(key: string): string {
  return "row-" + key.replace("/", "-");
}

interface RowProps {
  app: App;
  row: Row;
  index: number;
  /** Whether it is striped, which does not change as rows come. */
  odd: boolean;
  place: { transform: string };
  several: boolean;
  today: string;
}

function EventRow({ app, row, index, odd, place, several, today }: RowProps) {
  const { utc } = app.settings;
  const day = date(row.at, utc);
  const marked = app.selectedKey === row.key;
  const message = visible(row.message.slice(0, mostOfMessage));
  return (
    <div
      id={idOf(row.key)}
      class={`row event ${row.severity || "other"}${marked ? " marked" : ""}${odd ? " odd" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={marked}
      style={place}
      onClick={() => app.select(row, true)}
    >
      <div class="cell time" role="gridcell" title={`${day} ${time(row.at, utc)} ${zone(row.at, utc)}`}>
        {day !== today && `${day.slice(5)} `}
        {time(row.at, utc)}
      </div>
      <div class="cell severity" role="gridcell">{row.severity || "—"}</div>
      <div class="cell event" role="gridcell" title={row.type}>{app.catalogue.title(row.type)}</div>
      <div class="cell target" role="gridcell" title={visible(row.target)}>{row.target ? <><span class={`kind ${row.kind}`} title={row.kind} />{visible(row.target)}</> : "—"}</div>
      {several && <div class="cell vcenter" role="gridcell" title={row.vcenter}>{row.vcenter}</div>}
      <div class="cell user" role="gridcell" title={visible(row.user)}>{visible(row.user) || "—"}</div>
      <div class="cell message" role="gridcell" title={message}>{message ? <Found text={message} wanted={app.query.q} /> : "—"}</div>
      <div class="cell offset" role="gridcell">{count(Number(row.id))}</div>
    </div>
  );
}

/** How far into a message the text that was searched is marked, in characters. */
const markedUpTo = 500;

/** A text in which another one is marked, wherever it is. */
function Found({ text, wanted }: { text: string; wanted: string }) {
  if (!wanted) return <>{text}</>;
  const pattern = new RegExp(`(${wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")})`, "i");
  const parts = text.slice(0, markedUpTo).split(pattern); // every second one is what was found
  return <>{parts.map((part, i) => (i % 2 ? <mark key={i}>{part}</mark> : part))}{text.slice(markedUpTo)}</>;
}

/** What is behind the oldest event that is loaded. */
function End({ app }: { app: App }) {
  const { feed } = app;
  if (feed.problem?.passes) {
    return (
      <p class="end">
        Older events could not be loaded: {feed.problem.message}. <button type="button" onClick={() => void feed.loadOlder()}>Try again</button>
      </p>
    );
  }
  if (feed.busy.older || feed.searching) return <p class="end">Looking further back…</p>;
  if (feed.hasOlder) {
    return <p class="end"><button type="button" onClick={() => void feed.search()}>Look further back</button></p>;
  }
  return <p class="end">{app.query.since ? "Nothing older in this time." : "Nothing older: the log begins here."}</p>;
}

/** Scrolling away from the newest events makes the list stand still. */
function scrolled(app: App, box: HTMLElement | null, newestFirst: boolean): void {
  if (!box || app.feed.still || app.feed.phase !== "ready") return;
  const away = newestFirst ? box.scrollTop : box.scrollHeight - box.clientHeight - box.scrollTop;
  if (away > rowHeight) app.feed.pause();
}

/** A pointer that has rested for so long does not point at anything. */
const rest = 15_000;

/** Lets no row move away under a pointer. */
function usePointing(app: App): (on: boolean) => void {
  const timer = useRef<ReturnType<typeof setTimeout>>();
  return (on) => {
    clearTimeout(timer.current);
    app.feed.hold(on);
    if (on) timer.current = setTimeout(() => app.feed.hold(false), rest);
  };
}

/** Keeps what is seen where it is when rows are added or dropped above it, and comes back to the newest ones when the list goes on. */
function useSteadyPlace(app: App, scroll: { current: HTMLElement | null }, newestFirst: boolean): void {
  const { feed } = app;
  const last = useRef({ oldEnd: 0, newEnd: 0, generation: -1, newestFirst, still: false });
  useLayoutEffect(() => {
    const box = scroll.current;
    if (!box) return;
    const before = last.current;
    const { generation, still } = feed;
    const { oldEnd, newEnd } = feed.rows;
    last.current = { oldEnd, newEnd, generation, newestFirst, still };
    const another = before.generation !== generation || before.newestFirst !== newestFirst;
    if (another || (before.still && !still)) {
      const atTop = newestFirst === (feed.from === "newest" || before.generation === generation);
      box.scrollTop = atTop ? 0 : box.scrollHeight;
    } else if (still) {
      box.scrollTop += rowHeight * (newestFirst ? newEnd - before.newEnd : oldEnd - before.oldEnd);
    } else if (!newestFirst) {
      box.scrollTop = box.scrollHeight;
    }
  });
}

/** Brings the marked row into view when another one is marked, as with j and k. */
function useSelectedInView(app: App, scroll: { current: HTMLElement | null }, indexOf: (i: number) => number): void {
  const key = app.selectedKey;
  const { generation } = app.feed;
  const last = useRef("");
  useLayoutEffect(() => {
    const mark = `${key} ${generation}`;
    const box = scroll.current;
    if (key === "" || last.current === mark || !box) return;
    const at = app.feed.items.findIndex((item) => item.key === key);
    if (at < 0) return;
    const elsewhere = last.current.split(" ")[1] !== String(generation);
    last.current = mark;
    const top = indexOf(at) * rowHeight;
    const room = box.clientHeight - rowHeight;
    if (elsewhere) box.scrollTop = top - room / 2;
    else box.scrollTop = Math.max(top - room, Math.min(top, box.scrollTop)); // as little as it takes
  });
}
