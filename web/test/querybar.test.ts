import assert from "node:assert/strict";
import { test } from "node:test";
import type { Facets } from "../src/api/types";
import { placeIn } from "../src/model/check";
import { allAddress, cell, csvOf } from "../src/model/export";
import { everything, type Query } from "../src/model/query";
import { live, rangeWords, readDateTime, dateTimeText } from "../src/model/range";
import type { Hole, Row } from "../src/model/row";
import { Search } from "../src/model/search";
import { suggestionsFor } from "../src/model/suggest";
import { fieldCalled, flip, kindOf, readTyped, want } from "../src/model/typed";

const now = Date.parse("2026-11-22T15:00:00Z");

test("an expression is told from a text", () => {
  for (const cel of [
    `vm == "web"`, `vm != ""`, `a && b`, `a || b`, `vm.startsWith("x")`, `data.vm.name.startsWith("db-")`, `message.matches("(?i)lost")`, `cluster in ["a", "b"]`,
    `data.CallCount > 10000`, `time.getHours() < 7`, `has(data.Vm)`, `severity = "error"`, `!user.contains("svc")`, `vm.startsWith(`,
  ]) assert.equal(kindOf(cel), "cel", cel);
  for (const text of [
    "", "powered on", "web-07.example.com", "user", "vm: web", `user:VSPHERE.LOCAL\\Administrator`, "Alarm 'Host CPU usage' changed (red)", "50 % > 30 %", "in [DC-West]",
    "esx.problem.net", "vm:a==b", "dc:a && b", "what is this?",
  ]) assert.equal(kindOf(text), "text", text);
});

test("fields have their names, those that are shown, and short ones", () => {
  const names = { vm: "vm", VM: "vm", dc: "datacenter", ds: "datastore", net: "network", "Event type": "type", "event class": "eventclass", vCenter: "vcenter" };
  for (const [name, field] of Object.entries(names)) assert.equal(fieldCalled(name), field);
  assert.equal(fieldCalled("message"), null);
});

const is = (field: string, value: string) => ({ field, value, not: false });
const not = (field: string, value: string) => ({ field, value, not: true });

test("what is typed is taken apart", () => {
  const cases: [string, object[], string][] = [
    ["powered on", [], "powered on"],
    ["vm:web-07", [is("vm", "web-07")], ""],
    ["VM: web 07", [is("vm", "web 07")], ""],
    ["user:!root", [not("user", "root")], ""],
    ["user: ! root", [not("user", "root")], ""],
    [`user:VSPHERE.LOCAL\\Administrator`, [is("user", `VSPHERE.LOCAL\\Administrator`)], ""],
    ["severity:error,warning", [is("severity", "error"), is("severity", "warning")], ""],
    ["vm:web*,!web3", [is("vm", "web*"), not("vm", "web3")], ""],
    ["vm:!web1,!web2", [not("vm", "web1"), not("vm", "web2")], ""],
    [`vm:"a, b"`, [is("vm", "a, b")], ""],
    [`vm:!"host: x"`, [not("vm", "host: x")], ""],
    ["disk vm:web dc:West 1 net:!VM Network", [is("vm", "web"), is("datacenter", "West 1"), not("network", "VM Network")], "disk"],
    ["event type:VmPoweredOnEvent", [is("type", "VmPoweredOnEvent")], ""],
    [`"user: root"`, [], "user: root"],
    ["vm:", [], ""],
    ["vm:!", [], ""],
    ["https://x:80", [], "https://x:80"],
    [`vm:<b>"x'`, [is("vm", `<b>"x'`)], ""],
  ];
  for (const [text, wanted, q] of cases) {
    const typed = readTyped(text);
    assert.deepEqual({ wanted: typed.wanted, q: typed.q }, { wanted, q }, text);
  }
});

test("a value is either wanted or not, and a comma in it is matched by a star", () => {
  let query: Query = want(everything, { field: "vm", value: "a,b", not: false });
  assert.deepEqual(query.fields.vm, ["a*b"]);
  query = want(query, { field: "vm", value: "c", not: false });
  query = want(query, { field: "vm", value: "a,b", not: true });
  assert.deepEqual(query.fields.vm, ["c", "!a*b"]);
  assert.deepEqual(flip(query, { field: "vm", value: "c" }).fields.vm, ["!c", "!a*b"]);
  assert.deepEqual(flip(query, { field: "vm", value: "!a*b" }).fields.vm, ["c", "a*b"]);
});

const facets: Facets = {
  complete: true, completeSince: null, events: 9,
  facets: { vm: { values: [{ value: "db-web", count: 7 }, { value: "web-07", count: 3 }], others: 0 }, host: { values: [{ value: "esx-web", count: 5 }], others: 0 } },
};

test("suggestions are fields, and values that have the text", () => {
  const none = { field: null, found: [] };
  const shown = (text: string, more: Parameters<typeof suggestionsFor>[2] = none) => suggestionsFor(text, facets, more).map((s) => (s.is === "field" ? s.text : `${s.not ? "!" : ""}${s.field}=${s.value}`));
  assert.deepEqual(shown("ho"), ["host:"]);
  assert.deepEqual(shown("web"), ["vm=db-web", "host=esx-web", "vm=web-07"]);
  assert.deepEqual(shown("vm:web"), ["vm=web-07", "vm=db-web"]);
  assert.deepEqual(shown("vm:!web-"), ["!vm=web-07"]);
  assert.deepEqual(shown("severity:"), ["severity=error", "severity=warning", "severity=info", "severity=user"]);
  assert.deepEqual(shown("vm:web", { field: "vm", found: [{ value: "web-07", count: 3 }, { value: "web-99", count: 1 }] }), ["vm=web-07", "vm=web-99", "vm=db-web"]);
  assert.deepEqual(shown("vm:web", { field: "host", found: [{ value: "web-99", count: 1 }] }), ["vm=web-07", "vm=db-web"]);
  assert.deepEqual(suggestionsFor("vm:", null, none), []);
});

function searchIn(query: Query): { search: Search; app: { query: Query; setQuery(q: Query): void } } {
  const app = { query, setQuery: (q: Query) => void (app.query = q) };
  return { search: new Search(app), app };
}

test("what was typed becomes part of the query", async () => {
  const { search, app } = searchIn(everything);
  search.type("disk vm:web");
  assert.equal(await search.apply(), true);
  assert.deepEqual(app.query, { ...everything, q: "disk", fields: { vm: ["web"] } });
  assert.equal(search.text, "");
  search.type("dc:x vm:w");
  search.take({ is: "value", field: "vm", value: "web-07", not: true, count: 1 });
  assert.deepEqual(app.query.fields, { vm: ["web", "!web-07"], datacenter: ["x"] });
});

test("a text is edited, and emptied it goes", async () => {
  const { search, app } = searchIn({ ...everything, q: "user: root" });
  search.edit({ q: true });
  assert.equal(search.text, `"user: root"`);
  await search.apply();
  assert.equal(app.query.q, "user: root");
  search.edit({ q: true });
  search.type("");
  await search.apply();
  assert.equal(app.query.q, "");
});

test("a place in an expression counts characters, not their halves", () => {
  assert.deepEqual(placeIn(`a\n😀 = "x"`, 2, 3), { line: `😀 = "x"`, at: 3, index: 5 });
  assert.deepEqual(placeIn("ab", 9, 9), { line: "", at: 0, index: 3 });
});

test("a range is said in words", () => {
  const words = (of: Partial<Query>) => rangeWords({ ...everything, ...of }, true, now);
  assert.equal(words({}), "All that is kept");
  assert.equal(words({ since: "15m" }), "Last 15 min");
  assert.equal(words({ since: "90m" }), "Last 90m");
  assert.equal(words({ since: "2026-11-21T14:00:00Z", until: "2026-11-21T15:30:00Z" }), "14:00 – 15:30, 21 Nov UTC");
  assert.equal(words({ since: "2025-12-31T23:00:07Z", until: "2026-01-01T01:00:00Z" }), "23:00:07, 31 Dec 2025 – 01:00, 1 Jan UTC");
  assert.equal(words({ since: "2026-11-21T14:00:00Z" }), "Since 14:00, 21 Nov UTC");
  assert.equal(words({ until: "2026-11-21T14:00:00Z" }), "Until 14:00, 21 Nov UTC");
  assert.equal(words({ since: "nonsense" }), "Since nonsense");
  assert.equal(words({ since: "9".repeat(20) }), "Since " + "9".repeat(20));
  assert.equal(words({ since: "99999999999d", until: "9".repeat(20) }), "Until " + "9".repeat(20));
});

test("times of fields are read as they were written", () => {
  for (const utc of [true, false]) assert.equal(readDateTime(dateTimeText(now, utc), utc), now);
  assert.ok(Number.isNaN(readDateTime("", true)));
});

test("what is live keeps how far back it goes", () => {
  assert.equal(live({ ...everything, since: "1h", until: "2026-11-21T14:00:00Z" }).since, "1h");
  assert.deepEqual(live({ ...everything, since: "2026-11-21T13:00:00Z", until: "2026-11-21T14:00:00Z" }), everything);
});

test("the address of all events ends at a time", () => {
  const params = (of: Partial<Query>) => Object.fromEntries(new URLSearchParams(allAddress({ ...everything, ...of }, now).split("?")[1]));
  const all = { watch: "true", format: "ndjson" };
  assert.deepEqual(params({}), { ...all, offset: "earliest", until: "2026-11-22T15:00:00.000Z" });
  assert.deepEqual(params({ since: "15m", q: "a&b" }), { ...all, since: "15m", q: "a&b", until: "2026-11-22T15:00:00.000Z" });
  assert.equal(params({ until: "2026-11-21T14:00:00Z" })["until"], "2026-11-21T14:00:00Z");
});

test("a cell is no formula, and one cell", () => {
  for (const begin of ["=", "+", "-", "@", "\t"]) assert.equal(cell(`${begin}cmd`), `'${begin}cmd`);
  assert.equal(cell("\rcmd"), `"'\rcmd"`);
  assert.equal(cell(`=1+"a",2`), `"'=1+""a"",2"`);
  assert.equal(cell("a\nb"), `"a\nb"`);
  assert.equal(cell(`VSPHERE.LOCAL\\x`), `VSPHERE.LOCAL\\x`);
});

test("a table has a line for each event and none for holes", () => {
  const row: Row = {
    key: "vc/1", vcenter: "vc", id: "1", at: 0, time: "t", severity: "info", type: "T", target: "=x", kind: "vm", vm: "=x", host: "", cluster: "", datacenter: "", user: "u",
    message: "a, b", chain: 4, cursor: "", before: "", after: "",
  };
  const hole: Hole = { key: "h", cause: "buffer", text: "", most: null, at: 0, from: "", loading: false };
  assert.equal(csvOf([row, hole]), `\ufefftime,vcenter,id,severity,type,target,vm,host,cluster,datacenter,user,message,chain\r\nt,vc,1,info,T,'=x,'=x,,,,u,"a, b",4\r\n`);
});
