import { time } from "../format";
import type { App } from "../model/app";
import type { Row } from "../model/row";
import { visible } from "../text";

/** An event as an entry of a short list; a click shows it in the drawer. when is what stands for its time. */
export function EventLine({ app, row, when }: { app: App; row: Row; when: string }) {
  const marked = app.selectedKey === row.key;
  const about = row.message.includes(row.target) ? row.message : [row.target, row.message].filter(Boolean).join(" · ");
  return (
    <button type="button" class={`event-line ${row.severity || "other"}`} aria-current={marked ? "true" : undefined} title={time(row.at, app.settings.utc)} onClick={() => app.select(row, true)}>
      <span class="when">{when}</span>
      <span class="what">
        <b>{visible(app.catalogue.title(row.type))}</b> <span class="severity">{row.severity}</span>
      </span>
      <span class="about">{visible(about)}</span>
    </button>
  );
}
