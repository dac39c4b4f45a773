import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { serverNow } from "../api/client";
import type { CloudEvent } from "../api/types";
import { count, date, span, time, zone } from "../format";
import type { App, Selected } from "../model/app";
import { cliOf, curlOf, permalinkOf } from "../model/commands";
import { useModels } from "../model/model";
import { Around, Chain, eachSide } from "../model/nearby";
import type { Row } from "../model/row";
import { visible } from "../text";
import { useClock } from "./clock";
import { Breaking, Details, Folded } from "./details";
import { Missing } from "./missing";
import { AroundTab, ChainTab } from "./nearby";
import { ShowInList, Steps } from "./place";
import { Resizer } from "./resizer";
import { tabID, Tabs } from "./tabs";
import { firstTree, JSONTree } from "./tree";

/** All there is of the selected event, beside the list. */
export function Drawer({ app }: { app: App }) {
  useModels(app, app.settings, app.catalogue, app.vcenters);
  const box = useRef<HTMLElement>(null);
  const [chain] = useState(() => new Chain());
  useFocusBack(box);
  useEffect(() => () => chain.close(), [chain]);
  const { selected } = app;
  if (!selected) return null;
  const { row, event, problem } = selected;
  return (
    <aside ref={box} class="drawer" aria-label="Event details">
      <Resizer />
      <Head app={app} selected={selected} />
      <Body key="body" app={app} selected={selected} chain={chain} />
      {row && !problem && <Foot app={app} row={row} event={event} />}
    </aside>
  );
}

/** When the drawer goes away with the focus in it, the list has it. */
function useFocusBack(box: { current: HTMLElement | null }): void {
  useLayoutEffect(
    () => () => {
      if (box.current?.contains(document.activeElement)) document.querySelector<HTMLElement>(".grid")?.focus();
    },
    [],
  );
}

function Head({ app, selected: { row, vcenter, id } }: { app: App; selected: Selected }) {
  const { utc } = app.settings;
  return (
    <header class="drawer-head">
      <div class="title">
        <h2 class={row?.severity || "other"}>{row ? visible(app.catalogue.title(row.type)) : `Event ${visible(id)}`}</h2>
        <Steps app={app} />
      </div>
      {row ? (
        <p>
          <span class={`severity ${row.severity || "other"}`}>{row.severity || "no severity"}</span>
          {" · "}<Breaking text={visible(row.type)} /> · offset {count(Number(row.id))} ·{" "}
          <time dateTime={row.time}>{date(row.at, utc)} {time(row.at, utc)} ({zone(row.at, utc)})</time> · <Ago at={row.at} />
        </p>
      ) : (
        <p>offset {visible(id)} of {visible(vcenter)}</p>
      )}
    </header>
  );
}

/** How long ago something was, as it grows. */
function Ago({ at }: { at: number }) {
  const now = useClock(serverNow() - at < 100_000 ? 1_000 : 30_000);
  return <span class="ago">{span(now - at)} ago</span>;
}

type TabName = "details" | "json" | "chain" | "around";

function Body({ app, selected, chain }: { app: App; selected: Selected; chain: Chain }) {
  useModels(chain);
  const { row, event, problem } = selected;
  const [tab, setTab] = useState<TabName>("details");
  const [tree, setTree] = useState(firstTree);
  const [around] = useState(() => new Around());
  const scroll = useRef<HTMLDivElement>(null);
  const { selectedKey } = app;
  useEffect(() => {
    if (tab === "details") scroll.current?.scrollTo({ top: 0 });
  }, [selectedKey]);
  const asks = row !== null && row.chain !== 0 && !problem;
  useEffect(() => {
    if (row && asks) chain.show(row);
    else chain.close();
  }, [selectedKey, asks]);

  const of = row && chain.holds(row.vcenter, row.chain) && chain.rows ? ` ${count(chain.rows.length)}${chain.older ? "+" : ""}` : "";
  const tabs = [
    { name: "details" as const, title: "Details" },
    { name: "json" as const, title: "JSON" },
    { name: "chain" as const, title: `Chain${of}` },
    { name: "around" as const, title: `Around ±${eachSide}` },
  ];
  return (
    <div ref={scroll} class="drawer-body">
      {row?.message && <p class="message"><Folded key={selectedKey} text={row.message} /></p>}
      {row && !problem && <ShowInList app={app} row={row} />}
      {problem && <Missing app={app} selected={selected} problem={problem} />}
      {!row && !problem && <p class="remark" role="status">Loading…</p>}
      {row && !problem && (
        <>
          <Tabs label="About the event" tabs={tabs} chosen={tab} panel="drawer-panel" onChoose={setTab} />
          <div id="drawer-panel" class="panel" role="tabpanel" aria-labelledby={tabID("drawer-panel", tab)}>
            {tab === "details" && <Details key={selectedKey} app={app} row={row} event={event} />}
            {tab === "json" && (event ? <JSONTree app={app} event={event} state={tree} onState={setTree} /> : <p class="remark" role="status">Loading…</p>)}
            {tab === "chain" && <ChainTab app={app} chain={chain} row={row} />}
            {tab === "around" && <AroundTab app={app} around={around} row={row} />}
          </div>
        </>
      )}
    </div>
  );
}

function Foot({ app, row, event }: { app: App; row: Row; event: CloudEvent | null }) {
  const { origin, href } = window.location;
  const ways: [string, string, () => string][] = [
    ["Copy curl", "the curl command", () => curlOf(origin, row.vcenter, row.id)],
    ["Copy CLI", "the vstream command", () => cliOf(origin, row.vcenter, row.id)],
    ["Copy JSON", "the JSON", () => JSON.stringify(event, null, 2)],
    ["Permalink", "the permalink", () => permalinkOf(href, row.vcenter, row.id)],
  ];
  return (
    <footer class="drawer-foot">
      {ways.map(([name, what, text]) => (
        <button key={name} type="button" title={`Copy ${what}`} disabled={name === "Copy JSON" && !event} onClick={() => void app.copy(text(), what)}>{name}</button>
      ))}
    </footer>
  );
}
