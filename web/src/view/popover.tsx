import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A small window below the button before it. A click elsewhere or Esc closes it. */
export function Popover({ label, onClose, children, end }: { label: string; onClose: () => void; children: ComponentChildren; end?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const place = box.current?.parentElement;
    const button = place?.querySelector("button");
    const press = (e: PointerEvent) => {
      if (!place?.contains(e.target as Node)) onClose();
    };
    const key = (e: KeyboardEvent) => {
      if (e.key !== "Escape") return;
      e.stopPropagation();
      onClose();
      button?.focus();
    };
    document.addEventListener("pointerdown", press);
    place?.addEventListener("keydown", key);
    return () => {
      document.removeEventListener("pointerdown", press);
      place?.removeEventListener("keydown", key);
    };
  }, [onClose]);
  return (
    <div ref={box} class={end ? "popover at-end" : "popover"} role="dialog" aria-label={label}>
      {children}
    </div>
  );
}
