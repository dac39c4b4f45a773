import { useState } from "preact/hooks";

const usual = 388;
const narrowest = 300;

function widest(): number {
  return Math.max(narrowest, Math.round(window.innerWidth * 0.6));
}

/** How wide the drawer is; it stays so until the page is loaded again. */
let width = usual;

/** The edge of the drawer, which makes it wider or narrower: with the pointer, or the arrow keys. */
export function Resizer() {
  const [now, setNow] = useState(width);
  const set = (to: number) => {
    width = Math.round(Math.min(widest(), Math.max(narrowest, to)));
    document.documentElement.style.setProperty("--drawer-width", `${width}px`);
    setNow(width);
  };
  const key = (e: KeyboardEvent) => {
    const to = { ArrowLeft: now + 20, ArrowRight: now - 20, Home: narrowest, End: widest() }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    set(to);
  };
  const move = (e: PointerEvent) => {
    if ((e.currentTarget as HTMLElement).hasPointerCapture(e.pointerId)) set(window.innerWidth - e.clientX);
  };
  return (
    <div
      class="resizer"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label="Width of the details"
      aria-valuenow={now}
      aria-valuemin={narrowest}
      aria-valuemax={widest()}
      title="Drag to change the width; double-click for the usual one"
      onKeyDown={key}
      onPointerDown={(e) => e.currentTarget.setPointerCapture(e.pointerId)}
      onPointerMove={move}
      onDblClick={() => set(usual)}
    />
  );
}
