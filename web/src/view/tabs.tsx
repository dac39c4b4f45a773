import type { ComponentChildren } from "preact";

export interface Tab<T extends string> {
  name: T;
  title: ComponentChildren;
}

/** A row of tabs; the arrow keys go from one to the next. Their panel is the element with the id panel. */
export function Tabs<T extends string>({ label, tabs, chosen, panel, onChoose }: { label: string; tabs: Tab<T>[]; chosen: T; panel: string; onChoose: (name: T) => void }) {
  const key = (e: KeyboardEvent) => {
    const at = tabs.findIndex((t) => t.name === chosen);
    const places: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 };
    const to = places[e.key];
    const next = to === undefined ? undefined : tabs[(to + tabs.length) % tabs.length];
    if (!next) return;
    e.preventDefault();
    onChoose(next.name);
    document.getElementById(tabID(panel, next.name))?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={key}>
      {tabs.map(({ name, title }) => (
        <button
          key={name}
          id={tabID(panel, name)}
          type="button"
          role="tab"
          aria-selected={name === chosen}
          aria-controls={panel}
          tabIndex={name === chosen ? 0 : -1}
          onClick={() => onChoose(name)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

/** The id of a tab, by which its panel is named. */
export function tabID(panel: string, name: string): string {
  return `${panel}-${name}`;
}
