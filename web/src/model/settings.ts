import { Model } from "./model";

export type Theme = "light" | "dark";
export type Order = "newest" | "oldest";

/** Settings are what somebody likes, remembered by the browser. */
export class Settings extends Model {
  theme: Theme;
  /** Which events are on top. */
  order: Order;
  /** Whether times are shown in UTC. */
  utc: boolean;

  constructor() {
    super();
    const preferred = window.matchMedia?.("(prefers-color-scheme: light)").matches ? "light" : "dark";
    this.theme = remembered("theme") === "light" ? "light" : remembered("theme") === "dark" ? "dark" : preferred;
    this.order = remembered("order") === "oldest" ? "oldest" : "newest";
    this.utc = remembered("utc") === "true";
    this.apply();
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    remember("theme", theme);
    this.apply();
    this.changed();
  }

  setOrder(order: Order): void {
    this.order = order;
    remember("order", order);
    this.changed();
  }

  setUTC(utc: boolean): void {
    this.utc = utc;
    remember("utc", String(utc));
    this.changed();
  }

  private apply(): void {
    document.documentElement.dataset["theme"] = this.theme;
  }
}

/** What the browser remembers under a name; it may refuse to. */
export function remembered(name: string): string | null {
  try {
    return localStorage.getItem("vstream." + name);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem("vstream." + name, value);
  } catch {
    // Then it holds for this visit.
  }
}
