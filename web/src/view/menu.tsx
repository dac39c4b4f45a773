import type { ComponentChildren } from "preact";
import { useCallback, useRef, useState } from "preact/hooks";
import { Down } from "./icons";
import { Popover } from "./popover";

/** A button that opens a small window with things to choose; children get what closes it. */
export function Menu({ label, title, children }: { label: string; title?: string; children: (close: () => void) => ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const onClose = useCallback(() => setOpen(false), []);
  const close = useCallback(() => {
    setOpen(false);
    button.current?.focus();
  }, []);
  return (
    <div class="menu">
      <button ref={button} type="button" class="menu-button" title={title} aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span>{label}</span>
        <Down />
      </button>
      {open && (
        <Popover label={label} onClose={onClose} end>
          {children(close)}
        </Popover>
      )}
    </div>
  );
}
