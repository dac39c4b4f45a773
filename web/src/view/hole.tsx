import { count, time } from "../format";
import type { App } from "../model/app";
import type { Hole } from "../model/row";

const titles: Record<Hole["cause"], string> = {
  expired: "Gap",
  vcenter: "Gap",
  buffer: "Not loaded",
};

/** A place where events are missing: why, how many at most, and what can be done. */
export function HoleRow({ app, hole, index, place }: { app: App; hole: Hole; index: number; place: { transform: string } }) {
  const missing = hole.most === null ? "events are missing" : `up to ${count(hole.most)} event${hole.most === 1 ? " is" : "s are"} missing`;
  return (
    <div class={`row hole ${hole.cause}`} role="row" aria-rowindex={index + 2} style={place}>
      <div class="cell" role="gridcell">
        <b>{titles[hole.cause]}</b>{" "}
        {missing}: {hole.text} ({time(hole.at, app.settings.utc).slice(0, 8)})
      </div>
      {hole.from && (
        <div class="cell act" role="gridcell">
          <button type="button" disabled={hole.loading} onClick={() => void app.feed.fill(hole)}>{hole.loading ? "Loading…" : "Load"}</button>
        </div>
      )}
    </div>
  );
}
