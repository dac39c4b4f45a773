import { useState } from "preact/hooks";
import { serverNow } from "../api/client";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { momentOf, type Query } from "../model/query";
import { dateTimeText, live, ranges, rangeWords, readDateTime } from "../model/range";
import { Menu } from "./menu";

/** Which time the page is about. */
export function TimeMenu({ app }: { app: App }) {
  useModels(app, app.settings);
  const choose = (query: Query) => {
    app.zoomed = [];
    app.setQuery(query);
  };
  const { query } = app;
  return (
    <>
      <Menu label={rangeWords(query, app.settings.utc, serverNow())} title="Time range">
        {(close) => (
          <div class="choices">
            {ranges.map((r) => (
              <button
                key={r.since} type="button" class="choice" aria-pressed={query.until === "" && query.since === r.since}
                onClick={() => { close(); choose({ ...query, since: r.since, until: "" }); }}
              >
                {r.name}
              </button>
            ))}
            <Custom app={app} onChoose={(since, until) => { close(); choose({ ...query, since, until }); }} />
          </div>
        )}
      </Menu>
      {app.zoomed.length > 0 && (
        <button type="button" onClick={() => app.zoomOut()}>Zoom out <kbd>Esc</kbd></button>
      )}
    </>
  );
}

/** A range of one's own, from a time to another or to now. */
function Custom({ app, onChoose }: { app: App; onChoose: (since: string, until: string) => void }) {
  const { utc } = app.settings;
  const now = serverNow();
  const text = (moment: number, otherwise: number) => dateTimeText(Number.isFinite(moment) ? moment : otherwise, utc);
  const [from, setFrom] = useState(() => text(momentOf(app.query.since, now), now - 3600e3));
  const [to, setTo] = useState(() => text(momentOf(app.query.until, now), now));
  const [toNow, setToNow] = useState(live(app.query).until === app.query.until);
  const begin = readDateTime(from, utc);
  const end = readDateTime(to, utc);
  const wrong = Number.isNaN(begin) ? "Say from when" : toNow ? "" : Number.isNaN(end) ? "Say until when" : begin >= end ? "It ends before it begins" : "";
  const submit = (e: Event) => {
    e.preventDefault();
    if (!wrong) onChoose(new Date(begin).toISOString(), toNow ? "" : new Date(end).toISOString());
  };
  return (
    <form class="custom" onSubmit={submit}>
      <label>
        <span>From</span>
        <input type="datetime-local" step="1" value={from} onInput={(e) => setFrom(e.currentTarget.value)} />
      </label>
      <label>
        <span>To</span>
        <input type="datetime-local" step="1" value={to} disabled={toNow} onInput={(e) => setTo(e.currentTarget.value)} />
      </label>
      <label class="to-now">
        <input type="checkbox" checked={toNow} onInput={(e) => setToNow(e.currentTarget.checked)} />
        <span>To now, and go on</span>
      </label>
      <p class={wrong ? "fault" : "hint"} role="status">{wrong || (utc ? "Times are in UTC" : "Times are local")}</p>
      <button type="submit" class="primary" disabled={wrong !== ""}>Show</button>
    </form>
  );
}
