import { useEffect, useRef, useState } from "preact/hooks";
import type { CloudEvent } from "../api/types";
import type { App } from "../model/app";
import { keyAt, linesOf, longText, type Node, opens, summaryOf } from "../model/tree";
import { quoted, visible } from "../text";
import { Down, Right } from "./icons";

/** What is open in the tree of one event is open in that of the next. */
export interface TreeState {
  open: ReadonlySet<string>;
  terse: boolean;
  at: string;
}

export const firstTree: TreeState = { open: new Set([".data"]), terse: false, at: "" };

/** An event as JSON, of which parts open and close. */
export function JSONTree({ app, event, state, onState }: { app: App; event: CloudEvent; state: TreeState; onState: (state: TreeState) => void }) {
  const lines = linesOf(event, state);
  const found = lines.findIndex((l) => l.path === state.at);
  const at = found < 0 ? 0 : found;
  const chosen = lines[at];
  const tree = useRef<HTMLDivElement>(null);
  const [moved, setMoved] = useState(0);
  useEffect(() => {
    if (moved > 0) tree.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  }, [moved]);

  const toggle = (node: Node) => {
    const open = new Set(state.open);
    if (!open.delete(node.path)) open.add(node.path);
    onState({ ...state, open, at: node.path });
  };
  const key = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const act = keyAt(lines, at, e.key);
    if (!act || !chosen) return;
    e.preventDefault();
    if ("toggle" in act) toggle(chosen);
    else onState({ ...state, at: lines[act.to]?.path ?? "" });
    setMoved(moved + 1);
  };
  const press = (node: Node) => {
    if (opens(node) && window.getSelection()?.isCollapsed !== false) toggle(node);
    else onState({ ...state, at: node.path });
  };
  return (
    <>
      <div class="tree-bar">
        <code title={chosen?.path}>{chosen ? visible(chosen.path) : ""}</code>
        <button type="button" disabled={!chosen || chosen.part} title="Copy where the marked value is, as jq has it" onClick={() => chosen && void app.copy(chosen.path, "the path")}>Copy path</button>
        <button type="button" disabled={!chosen || chosen.part} title="Copy the marked value" onClick={() => chosen && void app.copy(textOf(chosen.value), "the value")}>Copy value</button>
        <button type="button" aria-pressed={state.terse} onClick={() => onState({ ...state, terse: !state.terse })}>Hide empty</button>
      </div>
      <div ref={tree} class="tree" role="tree" aria-label="The event as JSON" onKeyDown={key}>
        {lines.map((node, i) => (
          <div
            key={node.path}
            class={`line${i === at ? " marked" : ""}`}
            role="treeitem"
            aria-level={node.level}
            aria-posinset={node.place}
            aria-setsize={node.of}
            aria-expanded={opens(node) ? node.open : undefined}
            aria-selected={i === at}
            tabIndex={i === at ? 0 : -1}
            style={{ paddingLeft: `${4 + 14 * (Math.min(node.level, 12) - 1)}px` }}
            onClick={() => press(node)}
          >
            {opens(node) ? node.open ? <Down /> : <Right /> : <span class="no-icon" />}
            <span class="text">
              <span class="name">{node.part ? node.name : visible(node.name)}</span>
              {!node.part && ": "}
              <Content node={node} />
            </span>
          </div>
        ))}
      </div>
    </>
  );
}

function Content({ node: { value, ...node } }: { node: Node }) {
  if (node.part) return null;
  if (typeof value === "string") {
    if (value.length <= longText || node.open) return <span class="string">{quoted(value)}</span>;
    return <><span class="string">{quoted(value.slice(0, longText)).slice(0, -1)}…</span> <span class="count">{value.length} characters</span></>;
  }
  if (typeof value === "object" && value !== null) return <span class="count">{summaryOf({ value, ...node })}</span>;
  return <span class={value === null ? "nothing" : "scalar"}>{String(value)}</span>;
}

/** A value as somebody pastes it: texts as they are, all else as JSON. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
