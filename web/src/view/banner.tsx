import type { App } from "../model/app";
import { span } from "../format";
import { useModels } from "../model/model";
import { useClock } from "./clock";

/** After so long without the server somebody wants to know why. */
const patience = 60_000;

/** What is wrong for longer than a moment, and what to do. */
export function Banner({ app }: { app: App }) {
  useModels(app, app.feed);
  const { link } = app.feed;
  const now = useClock(link?.is === "lost" ? 1_000 : 0);
  if (app.unknown.length > 0) {
    return (
      <div class="banner" role="alert">
        <span>The address has {app.unknown.map((n) => `“${n}”`).join(", ")}, which means nothing here and is ignored.</span>
        <button type="button" onClick={() => app.forgetUnknown()}>Dismiss</button>
      </div>
    );
  }
  if (link?.is === "lost" && now - link.since > patience) {
    return (
      <div class="banner bad">
        <span class="unseen" role="alert">The connection to the server is lost.</span>
        <span>
          No connection to the server for {span(now - link.since)}: {link.problem.message}. What is shown stays; the page goes on where it was as soon as the
          server answers. If it does not, see whether the server runs and whether your network or VPN is up.
        </span>
        <button type="button" onClick={() => app.reload()}>Try now</button>
      </div>
    );
  }
  if (app.feed.replaced) {
    return (
      <div class="banner" role="status">
        <span>The log behind the server is another one now: the vCenter or its log was replaced. What was here before is no more.</span>
        <button type="button" onClick={() => app.feed.understood()}>Dismiss</button>
      </div>
    );
  }
  if (app.outdated) {
    return (
      <div class="banner" role="status">
        <span>The server is vstream {app.server?.version} now; this page is of {app.born}.</span>
        <button type="button" onClick={() => window.location.reload()}>Reload the page</button>
      </div>
    );
  }
  return null;
}
