import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** How near to the edge of the page it comes, in pixels. */
const margin = 8;

/**
 * A small window below the button before it. It takes the focus; the arrow keys go through what
 * one can press in it. A click elsewhere, Esc, or leaving it closes it, and Esc gives the focus back.
 */
export function Popover({ label, onClose, children, end }: { label: string; onClose: () => void; children: ComponentChildren; end?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (box.current) keepOnPage(box.current);
  });
  useEffect(() => (pressables(box.current)[0] ?? box.current)?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const place = box.current?.parentElement;
    const button = place?.querySelector("button");
    const press = (e: PointerEvent) => {
      if (!place?.contains(e.target as Node)) onClose();
    };
    const leave = (e: FocusEvent) => {
      if (e.relatedTarget instanceof Node && !place?.contains(e.relatedTarget)) onClose();
    };
    const key = (e: KeyboardEvent) => {
      if (e.key === "Escape") {
        e.stopPropagation();
        onClose();
        button?.focus();
      } else if (box.current && walk(box.current, e)) {
        e.preventDefault();
        e.stopPropagation();
      }
    };
    document.addEventListener("pointerdown", press);
    place?.addEventListener("focusout", leave);
    place?.addEventListener("keydown", key);
    return () => {
      document.removeEventListener("pointerdown", press);
      place?.removeEventListener("focusout", leave);
      place?.removeEventListener("keydown", key);
    };
  }, [onClose]);
  return (
    <div ref={box} class={end ? "popover at-end" : "popover"} role="dialog" aria-label={label} tabIndex={-1}>
      {children}
    </div>
  );
}

function pressables(box: HTMLElement | null): HTMLElement[] {
  return box ? [...box.querySelectorAll<HTMLElement>("button:not(:disabled), a[href], input, select, summary")] : [];
}

/** Moves the focus with the arrow keys, Home and End; not where an input needs them. */
function walk(box: HTMLElement, e: KeyboardEvent): boolean {
  const { target } = e;
  if (e.ctrlKey || e.metaKey || e.altKey || (target instanceof HTMLInputElement && target.type !== "checkbox")) return false;
  const all = pressables(box);
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: -1 }[e.key];
  if (next === undefined || all.length === 0) return false;
  all.at(next % all.length)?.focus();
  return true;
}

/** Moves a window to where all of it can be seen. */
function keepOnPage(box: HTMLElement): void {
  box.style.translate = "";
  const { left, right } = box.getBoundingClientRect();
  const over = Math.max(0, right - (document.documentElement.clientWidth - margin));
  const under = Math.max(0, margin - left);
  if (over > 0 || under > 0) box.style.translate = `${under > 0 ? under : -over}px`;
}
