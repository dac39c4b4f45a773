import { useEffect, useState } from "preact/hooks";

/** The time in milliseconds, anew each so many milliseconds; with 0 only when shown anew. */
export function useClock(interval: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (interval <= 0) return;
    const timer = setInterval(() => setNow(Date.now()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return interval > 0 ? now : Date.now();
}
