import { useEffect, useState } from "preact/hooks";
import { isAbort, type Problem } from "../api/client";
import { count, date, time } from "../format";
import type { App, Selected } from "../model/app";
import { nearest, type Offer } from "../model/nearby";
import { sentence, visible } from "../text";
import { EventLine } from "./eventline";

/** Why an event cannot be shown, and what can be instead. */
export function Missing({ app, selected, problem }: { app: App; selected: Selected; problem: Problem }) {
  if (problem.status === 410) {
    return (
      <Why title="The log no longer holds this event">
        <p>{keeps(problem)}</p>
        <Nearest app={app} selected={selected} problem={problem} />
      </Why>
    );
  }
  if (problem.slug === "event-not-found") {
    const { latest } = problem.document;
    const ahead = latest !== undefined && Number(selected.id) > latest;
    return (
      <Why title="There is no such event">
        <p>
          {ahead
            ? `The log of ${visible(selected.vcenter)} ends at offset ${count(latest)}. The link may be of another server, or of a log that was replaced.`
            : `${visible(selected.vcenter)} has no event with this offset: vCenter leaves numbers out.`}
        </p>
        <Nearest app={app} selected={selected} problem={problem} />
      </Why>
    );
  }
  if (problem.status === 404) return <UnknownVCenter app={app} selected={selected} />;
  if (problem.passes) {
    return (
      <Why title="The event could not be loaded">
        <p>{sentence(problem.message)}</p>
        <button type="button" onClick={() => app.lookAgain()}>Try again</button>
      </Why>
    );
  }
  return (
    <Why title="This cannot be shown">
      <p>{sentence(problem.message)}</p>
      <button type="button" onClick={() => app.closeDrawer()}>Close</button>
    </Why>
  );
}

function Why({ title, children }: { title: string; children: preact.ComponentChildren }) {
  return (
    <section class="why" role="alert">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function keeps({ document: { earliest, latest } }: Problem): string {
  if (earliest === undefined || latest === undefined) return "It was dropped, for the log keeps only so much.";
  return `It keeps offsets ${count(earliest)} to ${count(latest)}.`;
}

function UnknownVCenter({ app, selected }: { app: App; selected: Selected }) {
  const names = app.vcenters.value?.map((v) => v.name) ?? [];
  return (
    <Why title={`There is no vCenter “${visible(selected.vcenter)}” here`}>
      {names.length > 0 && <p>This server reads {names.join(", ")}. If the vCenter was renamed, the event may be there:</p>}
      <ul>
        {names.map((name) => (
          <li key={name}>
            <button type="button" class="link" onClick={() => app.lookAt(name, selected.id)}>offset {visible(selected.id)} of {name}</button>
          </li>
        ))}
      </ul>
    </Why>
  );
}

/** The events nearest to the one that is not there. */
function Nearest({ app, selected: { vcenter, id }, problem }: { app: App; selected: Selected; problem: Problem }) {
  const [offers, setOffers] = useState<Offer[] | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    nearest(vcenter, id, problem, stop.signal).then(setOffers, (error: unknown) => {
      if (!isAbort(error)) setOffers([]);
    });
    return () => stop.abort();
  }, [vcenter, id, problem]);
  if (!offers) return <p role="status">Looking for the nearest events…</p>;
  if (offers.length === 0) return <button type="button" onClick={() => app.lookAgain()}>Try again</button>;
  return (
    <ol class="event-lines">
      {offers.map(({ what, row }) => (
        <li key={what}>
          <p class="offer">{what}: offset {count(Number(row.id))}, {date(row.at, app.settings.utc)}</p>
          <EventLine app={app} row={row} when={time(row.at, app.settings.utc).slice(0, 8)} />
        </li>
      ))}
    </ol>
  );
}
