import { bytes, count, date, minute, span } from "../format";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { isHole } from "../model/row";

/** How much matches, how much is loaded, and what the log keeps. */
export function StatusBar({ app }: { app: App }) {
  useModels(app, app.feed, app.facets, app.vcenters, app.settings);
  const { feed, facets, vcenters, settings } = app;
  const matching = facets.value && !facets.stale ? `${facets.value.complete ? "" : "at least "}${count(facets.value.events)} matching` : facets.problem ? "not counted" : "counting…";
  const rows = feed.items.filter((item) => !isHole(item)).length;
  const all = vcenters.value ?? [];
  const one = all.length === 1 ? all[0] : undefined;
  const kept = all.reduce((sum, v) => sum + v.log.events, 0);
  const limits: string[] = [];
  if (one) {
    if (one.log.maxAge !== null) limits.push(span(one.log.maxAge * 1000));
    if (one.log.maxEvents !== null) limits.push(`${count(one.log.maxEvents)} events`);
    if (one.log.maxBytes !== null) limits.push(bytes(one.log.maxBytes));
  }
  const from = app.histogram.value?.from;
  return (
    <footer class="statusbar">
      <span>{matching} · {count(rows)} loaded{one?.range && ` · offsets ${count(one.range.earliest)} – ${count(one.range.latest)}`}</span>
      <span class="keeps">
        the log has {count(kept)} events{limits.length > 0 && ` · keeps ${limits.join(" / ")}`}
        {from && !app.query.since && ` · since ${date(Date.parse(from), settings.utc)} ${minute(Date.parse(from), settings.utc)}`}
        {app.server && ` · vstream ${app.server.version}`}
      </span>
    </footer>
  );
}
