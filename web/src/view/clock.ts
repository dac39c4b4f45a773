import { useEffect, useState } from "preact/hooks";
import { serverNow } from "../api/client";

/** The time of the server in milliseconds, anew each so many milliseconds; with 0 only when shown anew. */
export function useClock(interval: number): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    if (interval <= 0) return;
    const timer = setInterval(() => setNow(serverNow()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return interval > 0 ? now : serverNow();
}
