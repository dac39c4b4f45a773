import { useEffect, useReducer } from "preact/hooks";

/**
 * A Model is a part of the page's state. Whoever shows it is told once a frame that it has
 * changed, however often it did.
 */
export class Model {
  private readonly listeners = new Set<() => void>();
  private due = false;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  protected changed(): void {
    if (this.due) return;
    this.due = true;
    nextFrame(() => {
      this.due = false;
      for (const listener of [...this.listeners]) listener();
    });
  }
}

/** Runs f with the next frame; soon all the same where the page is hidden and has none. */
function nextFrame(f: () => void): void {
  if (typeof document === "undefined" || document.hidden) setTimeout(f, 16);
  else requestAnimationFrame(f);
}

/** Shows the component anew whenever one of the models changes. */
export function useModels(...models: Model[]): void {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const ends = models.map((m) => m.subscribe(() => again(undefined)));
    return () => ends.forEach((end) => end());
  }, models);
}
