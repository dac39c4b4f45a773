// Icons are drawn here: nothing is loaded, and they take the colour of the text.
import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
      {children}
    </svg>
  );
}

export const Moon = () => <Icon><path d="M13 9.5A5.5 5.5 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500Z" /></Icon>;
export const Sun = () => <Icon><circle cx="8" cy="8" r="3" /><path d="M8 1.500v1M8 13.500v1M1.500 8h1M13.500 8h1M3.400 3.400l.7.7M11.900 11.900l.7.7M12.600 3.400l-.7.7M4.100 11.900l-.7.7" /></Icon>;
export const Close = () => <Icon><path d="M4 4l8 8M12 4l-8 8" /></Icon>;
export const Plus = () => <Icon><circle cx="8" cy="8" r="5.500" /><path d="M8 5.500v5M5.500 8h5" /></Icon>;
export const Minus = () => <Icon><circle cx="8" cy="8" r="5.500" /><path d="M5.500 8h5" /></Icon>;
export const Copy = () => <Icon><rect x="5.500" y="5.500" width="7" height="7" rx="1" /><path d="M10.500 3.500h-6a1 1 0 0 0-1 1v6" /></Icon>;
export const Down = () => <Icon><path d="M4.500 6.500L8 10l3.500-3.500" /></Icon>;
export const Right = () => <Icon><path d="M6.500 4.500L10 8l-3.500 3.500" /></Icon>;
export const Pause = () => <Icon><path d="M5.500 3.500v9M10.500 3.500v9" /></Icon>;
export const Link = () => <Icon><path d="M6.500 9.500l3-3M7 5l1.500-1.500a2.500 2.500 0 0 1 4 3.500L11 8.500M9 11l-1.500 1.500a2.500 2.500 0 0 1-4-3.500L5 7.500" /></Icon>;
export const Download = () => <Icon><path d="M8 2.500v8M4.500 7L8 10.500 11.500 7M3 13.500h10" /></Icon>;
export const Filter = () => <Icon><path d="M2.500 4h11M4.500 8h7M6.500 12h3" /></Icon>;
