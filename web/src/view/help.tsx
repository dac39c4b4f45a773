import { useEffect, useRef } from "preact/hooks";
import type { App } from "../model/app";
import { keyHelp } from "./keys";

/** The keys, and where to read more. */
export function Help({ app }: { app: App }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => app.showHelp(false)}>
      <h2 id="help-title">Keys</h2>
      <dl>
        {keyHelp.map(({ keys, does }) => (
          <div key={does}>
            <dt>{keys.map((k) => <kbd key={k}>{k}</kbd>)}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p>
        Whatever the page shows, the <a href="/docs">API</a> gives to programs: every filter here is a parameter there, and <b>Copy as</b> writes the command.
      </p>
      <form method="dialog">
        <button type="submit" class="primary" autoFocus>Close</button>
      </form>
    </dialog>
  );
}
