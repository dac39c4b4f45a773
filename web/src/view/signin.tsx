import { useEffect, useRef, useState } from "preact/hooks";
import { problemOf } from "../api/client";
import type { App } from "../model/app";
import { useModels } from "../model/model";

/** Asks for a token when the server wants one; the page behind it stays as it is. */
export function SignIn({ app }: { app: App }) {
  useModels(app, app.feed, app.vcenters, app.facets);
  const { signedOut } = app;
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState("");
  const [token, setToken] = useState("");
  const shown = signedOut && !app.signInLater;
  useEffect(() => {
    if (shown) dialog.current?.showModal();
    else dialog.current?.close();
  }, [shown]);
  const submit = async (e: Event) => {
    e.preventDefault();
    try {
      await app.signIn(token.trim());
      setProblem("");
      setToken("");
    } catch (error) {
      setProblem(problemOf(error).message);
    }
  };
  return (
    <dialog ref={dialog} class="signin" aria-labelledby="signin-title" onCancel={() => app.askToSignIn(false)}>
      <form onSubmit={(e) => void submit(e)}>
        <h2 id="signin-title">Sign in again</h2>
        <p>The server does not know who you are any more. Nothing that you see is lost.</p>
        {problem && <p class="problem" role="alert">{problem}</p>}
        <input type="text" autocomplete="username" value="token" readOnly hidden />
        <label for="signin-token">Token</label>
        <input id="signin-token" type="password" autocomplete="current-password" required value={token} onInput={(e) => setToken(e.currentTarget.value)} />
        <button type="submit" class="primary">Sign in</button>
      </form>
    </dialog>
  );
}
