import type { App } from "../model/app";
import { drop, isHistorical, only, toggle, without } from "../model/query";

/** What the keys do, as the help shows it. */
export const keyHelp: { keys: string[]; does: string }[] = [
  { keys: ["Space"], does: "Pause, or go on" },
  { keys: ["/"], does: "Search" },
  { keys: ["j", "k"], does: "Next event below, or above; the arrow keys too" },
  { keys: ["Enter"], does: "Details of the event" },
  { keys: ["Esc"], does: "Close the details; zoom out" },
  { keys: ["g"], does: "The oldest events" },
  { keys: ["G"], does: "The newest events" },
  { keys: ["e", "w", "i", "u"], does: "Only errors, warnings, infos, user events; again for all" },
  { keys: ["f"], does: "Only events of the same type" },
  { keys: ["x"], does: "No events of this type" },
  { keys: ["c"], does: "Only events of the same chain" },
  { keys: ["l"], does: "Copy a link to what is shown" },
  { keys: ["o"], does: "Newest or oldest event on top" },
  { keys: ["t"], does: "Local time or UTC" },
  { keys: ["?"], does: "This help" },
];

const severities: Record<string, string> = { e: "error", w: "warning", i: "info", u: "user" };

/** Handles the keys of the page, which are off where somebody types. */
export function keysOf(app: App): (e: KeyboardEvent) => void {
  return (e) => {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target)) return;
    if (document.querySelector("dialog[open]") || (e.target instanceof Element && e.target.closest(".popover"))) return;
    if (e.key === " " || e.key === "Enter") {
      if (isControl(e.target)) return; // which the key presses
    }
    if (act(app, e.key) || (isList(e.target) && move(app, e.key))) e.preventDefault();
  };
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) && !(target instanceof HTMLInputElement && target.type === "checkbox");
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a, summary, input") !== null;
}

/** Whether the keys are those of the list: it has the focus, or nothing has. */
function isList(target: EventTarget | null): boolean {
  return target === document.body || (target instanceof HTMLElement && target.matches(".grid"));
}

/** Gives the list the focus, so that Enter opens what is marked; who reads the drawer keeps it. */
function toList(): void {
  if (!document.activeElement?.closest(".drawer")) document.querySelector<HTMLElement>(".grid")?.focus({ preventScroll: true });
}

/** Moves through the list, as keys do where something scrolls. */
function move(app: App, key: string): boolean {
  const box = document.querySelector<HTMLElement>(".scroll");
  const page = (box?.clientHeight ?? 0) - 48; // two rows stay, to know where one was
  const pages: Record<string, number> = { PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  const by = pages[key];
  if (key === "ArrowDown") return act(app, "j");
  if (key === "ArrowUp") return act(app, "k");
  if (by === undefined || !box) return false;
  box.scrollTop = Math.min(box.scrollHeight, Math.max(0, box.scrollTop + by));
  return true;
}

function act(app: App, key: string): boolean {
  const { feed, settings } = app;
  const row = app.selected?.row;
  const severity = severities[key];
  if (severity) {
    app.setQuery(toggle(app.query, "severity", severity));
    return true;
  }
  const down = settings.order === "newest" ? -1 : 1;
  switch (key) {
    case " ":
      if (isHistorical(app.query) || feed.hasNewer) app.backToLive();
      else if (feed.paused) feed.resume();
      else feed.pause();
      return true;
    case "/":
      document.getElementById("search")?.focus();
      return true;
    case "j":
    case "k":
      app.step(key === "j" ? down : down === 1 ? -1 : 1);
      toList();
      return true;
    case "Enter":
      if (row) app.select(row, true);
      return row !== null && row !== undefined;
    case "Escape":
      if (app.selected?.open) app.closeDrawer();
      else if (app.zoomed.length > 0) app.zoomOut();
      else if (app.selected) app.unselect();
      return true;
    case "g":
      void feed.jump(null);
      return true;
    case "G":
      feed.resume();
      return true;
    case "f":
      if (row) app.setQuery(only(app.query, "type", row.type));
      return true;
    case "x":
      if (row) app.setQuery(without(app.query, "type", row.type));
      return true;
    case "c":
      if (row && app.query.fields.chain?.includes(String(row.chain))) app.setQuery(drop(app.query, { field: "chain", value: String(row.chain) }));
      else if (row) app.setQuery(only(app.query, "chain", String(row.chain)));
      return true;
    case "l":
      void app.copy(window.location.href, "the link");
      return true;
    case "o":
      app.setOrder(settings.order === "newest" ? "oldest" : "newest");
      return true;
    case "t":
      settings.setUTC(!settings.utc);
      return true;
    case "?":
      app.showHelp(true);
      return true;
  }
  return false;
}
