import { type Counted, eventWords, partWords, stacked } from "../model/buckets";

/** What is in the time that somebody points at, beside it. Share is where in the strip, from 0 to 1. */
export function Readout({ share, title, counts, several }: { share: number; title: string; counts: Counted; several: boolean }) {
  const at = share < 0.12 ? { left: "0" } : share > 0.88 ? { right: "0" } : { left: `${100 * share}%`, transform: "translateX(-50%)" };
  return (
    <div class="readout" style={at} aria-hidden="true">
      <b>{title}</b>
      <span class="sum">{eventWords(counts.total)}</span>
      {stacked.filter((s) => counts[s] > 0).map((s) => (
        <span key={s} class={s}>{partWords(s, counts[s])}</span>
      ))}
      {several && <span class="hint">release, or Enter, to zoom in</span>}
    </div>
  );
}
