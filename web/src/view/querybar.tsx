import { useState } from "preact/hooks";
import type { App } from "../model/app";
import { useModels } from "../model/model";
import { isHistorical } from "../model/query";
import { Search } from "../model/search";
import { Link } from "./icons";
import { SearchBox } from "./search";
import { CopyMenu, DownloadMenu, ViewsMenu } from "./sharemenus";
import { TimeMenu } from "./timemenu";
import { Fault } from "./verdict";

/** What the page is about, and what one can do with it. */
export function QueryBar({ app }: { app: App }) {
  const [search] = useState(() => new Search(app));
  useModels(app, app.feed, search);
  const { problem } = app.feed;
  const refused = problem?.status === 400 && search.editing !== "filter" ? problem : null;
  return (
    <div class="querybar" role="search" aria-label="Events">
      <SearchBox app={app} search={search} />
      <div class="actions">
        <TimeMenu app={app} />
        <Flow app={app} />
        <ViewsMenu app={app} />
        <button type="button" title="Copy a link to what is shown (l)" onClick={() => void app.copy(window.location.href, "the link")}><Link /> Share</button>
        <CopyMenu app={app} />
        <DownloadMenu app={app} />
      </div>
      <div class="refused" role="status" aria-live="polite">
        {refused && <Fault expression={app.query.filter} problem={refused} />}
      </div>
    </div>
  );
}

/** Stops the list and lets it go on; leads back to what happens now where it is elsewhere. */
function Flow({ app }: { app: App }) {
  const { feed } = app;
  if (isHistorical(app.query)) {
    return <button type="button" class="primary" title="Show what happens now" onClick={() => app.backToLive()}>Back to live</button>;
  }
  if (feed.hasNewer) return <button type="button" class="primary" title="Show the newest events (G)" onClick={() => app.backToLive()}>Back to live</button>;
  if (feed.paused) return <button type="button" class="primary" onClick={() => feed.resume()}>Resume <kbd>space</kbd></button>;
  return <button type="button" disabled={feed.phase === "failed"} onClick={() => feed.pause()}>Pause <kbd>space</kbd></button>;
}
