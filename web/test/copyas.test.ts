import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import vm from "node:vm";
import { curl, javaScript, paramsOf, powerShell, sh, vstream, waysOf } from "../src/model/copyas";
import { everything, type Query } from "../src/model/query";

const now = Date.parse("2026-11-22T15:00:00Z");
const origin = "https://vstream.example.com:8443";

// nasty are texts that end a quotation, begin something else, or are more than one line.
const nasty = [
  "",
  "plain",
  "two words",
  `it's`,
  `''`,
  `'; touch owned; '`,
  `"double"`,
  "`touch owned`",
  "$(touch owned) $HOME ${HOME} %PATH% !!",
  `VSPHERE.LOCAL\\Administrator`,
  `ends with \\`,
  `\\\\two\\`,
  `*?[a-z]{1,2}~`,
  `# no comment`,
  `-rf`,
  `--server=https://evil.example.com`,
  `a=b&c=d;e|f<g>h`,
  `</script><script>alert(1)</script>`,
  `<!--`,
  `type == "VmPoweredOnEvent" &&\n  !user.contains('svc') // that's all\n`,
  `tab\tand\rreturn`,
  `smart ‘single’ ‚low‛ “double”`,
  `Zürich 東京 😀`,
  "line\u2028and\u2029paragraph",
  `@/etc/passwd`,
  `name=@/etc/passwd`,
];

// words returns how sh takes a command apart.
function words(command: string): string[] {
  const out = execFileSync("sh", ["-c", `words() { for w in "$@"; do printf '%s\\0' "$w"; done; }; words ${command}`], { encoding: "utf8", env: {} });
  return out.split("\0").slice(0, -1);
}

// powerShellWords reads a quoted word by the rules of about_Quoting_Rules.
function powerShellWord(text: string): string {
  const quotes = "'‘’‚‛";
  assert.ok(quotes.includes(text.at(0) ?? "") && quotes.includes(text.at(-1) ?? ""), text);
  const inner = text.slice(1, -1);
  assert.equal(inner.replace(/(['‘’‚‛])['‘’‚‛]/g, "").search(/['‘’‚‛]/), -1, `${text} ends too early`);
  return inner.replace(/(['‘’‚‛])['‘’‚‛]/g, "$1");
}

function q(of: Partial<Query>): Query {
  return { ...everything, ...of };
}

test("sh reads back each text as one word", () => {
  for (const text of nasty) assert.deepEqual(words(sh(text)), [text]);
  assert.deepEqual(words(nasty.map(sh).join(" ")), nasty);
});

test("sh does not quote what needs no quotes", () => {
  assert.equal(sh("https://a.example.com:80/b"), "https://a.example.com:80/b");
  assert.equal(sh("error,warning"), "error,warning");
  for (const text of ["~", "a*", "!a", "a b", "", "#", "a&b", "{a,b}"]) assert.match(sh(text), /^'/);
});

test("PowerShell reads back each text as one word", () => {
  for (const text of nasty) assert.equal(powerShellWord(powerShell(text)), text);
  assert.equal(powerShell("it's"), "'it''s'");
  assert.equal(powerShell("’; calc; ‘"), "'’’; calc; ‘‘'");
  assert.equal(powerShell("$(calc) `n"), "'$(calc) `n'");
});

test("JavaScript reads back each text as one string", () => {
  for (const text of nasty) {
    const literal = javaScript(text);
    assert.equal(vm.runInNewContext(literal), text);
    assert.doesNotMatch(literal, /[<\n\r\u2028\u2029]/);
  }
});

test("curl asks for each parameter as it is, whatever it contains", () => {
  for (const text of nasty.filter((t) => t !== "")) {
    const query = q({ fields: { vm: [text] }, q: text, filter: text, since: "15m" });
    const [command, ...args] = words(curl(query, origin, now));
    assert.equal(command, "curl");
    assert.deepEqual(args, [
      "-sSN", "-G", origin + "/api/v1/events", "--data-urlencode", "vm=" + text, "--data-urlencode", "q=" + text,
      "--data-urlencode", "filter=" + text, "--data-urlencode", "since=15m", "--data-urlencode", "watch=true",
    ]);
  }
});

test("what goes on is watched, what is over is a page", () => {
  assert.equal(paramsOf(everything, now).toString(), "watch=true");
  assert.equal(paramsOf(q({ since: "1h" }), now).toString(), "since=1h&watch=true");
  const over = q({ since: "2026-11-21T14:00:00.000Z", until: "2026-11-21T15:30:00.000Z" });
  assert.deepEqual(Object.fromEntries(paramsOf(over, now)), { since: over.since, until: over.until, limit: "1000" });
  assert.doesNotMatch(curl(over, origin, now), /watch| -sSN/);
  for (const way of waysOf(over, origin, now)) assert.doesNotMatch(way.code, /watch|\btail|new EventSource/, way.name);
});

test("times in seconds are written as the command line reads them", () => {
  const query = q({ since: "1795356000", until: "1795359600000" });
  assert.match(vstream(query, origin, now), /--since 2026-11-22T14:00:00\.000Z \\\n {2}--until 2026-11-22T15:00:00\.000Z/);
  assert.equal(paramsOf(query, now).get("until"), "2026-11-22T15:00:00.000Z");
  assert.equal(paramsOf(q({ since: "9".repeat(20) }), now).get("since"), "9".repeat(20));
});

test("the command line has its own names for some fields", () => {
  const query = q({
    fields: {
      severity: ["error", "warning"], type: ["Vm*"], vm: ["web*", "!web 3"], host: ["h"], cluster: ["c"], datacenter: ["d"], datastore: ["!ds"], network: ["n"],
      user: [`VSPHERE.LOCAL\\Administrator`], vcenter: ["vc1"], chain: ["4711", "4712"], eventclass: ["eventex"],
    },
    q: "it's", since: "15m",
  });
  assert.deepEqual(words(vstream(query, origin, now)), [
    "vstream", "tail", "--server", origin, "--severity", "error,warning", "--type", "Vm*", "--vm", "web*,!web 3", "--host", "h", "--cluster", "c", "--dc", "d",
    "--ds", "!ds", "--net", "n", "--user", `VSPHERE.LOCAL\\Administrator`, "--vcenter", "vc1", "--chain", "4711,4712", "-x", "eventclass=eventex",
    "--grep", "it's", "--since", "15m",
  ]);
});

test("the command line leaves chains out by an expression", () => {
  const none = vstream(q({ fields: { chain: ["!7"] } }), origin, now);
  assert.deepEqual(words(none).slice(-2), ["--filter", "data.ChainId != 7"]);
  const both = vstream(q({ fields: { chain: ["5", "!7", "!8"] }, filter: `vm == "a" || vm == "b" // c` }), origin, now);
  assert.deepEqual(words(both).slice(-4), ["--chain", "5", "--filter", `((vm == "a" || vm == "b" // c\n) && data.ChainId != 7\n) && data.ChainId != 8`]);
});

test("the command line gets the whole of a time that is over", () => {
  assert.deepEqual(words(vstream(q({ since: "2026-11-21T14:00:00Z", until: "2026-11-21T15:00:00Z" }), origin, now)), [
    "vstream", "get", "--server", origin, "--since", "2026-11-21T14:00:00Z", "--until", "2026-11-21T15:00:00Z",
  ]);
  assert.equal(words(vstream(q({ until: "2026-11-21T15:00:00Z" }), origin, now)).at(-1), "--all");
});

// addressIn returns the first address that a command has in quotes.
function addressIn(code: string): URL {
  return new URL(/["'](https:[^"']*)["']/.exec(code)?.[1] ?? "");
}

test("JavaScript and PowerShell ask the address that means the query", () => {
  for (const text of nasty.filter((t) => t !== "")) {
    for (const until of ["", "2026-11-22T14:00:00Z"]) {
      const query = q({ fields: { user: ["!" + text] }, filter: text, until });
      for (const way of waysOf(query, origin, now).slice(2)) {
        const url = addressIn(way.code);
        assert.equal(url.origin + url.pathname, origin + "/api/v1/events");
        assert.equal(url.searchParams.get("user"), "!" + text, way.name);
        assert.equal(url.searchParams.get("filter"), text, way.name);
        assert.equal(url.searchParams.get("until"), until || null);
      }
    }
  }
});

test("JavaScript is JavaScript", () => {
  for (const until of ["", "2026-11-22T14:00:00Z"]) {
    for (const text of nasty) {
      const code = waysOf(q({ filter: text, until }), origin, now)[2]?.code ?? "";
      assert.doesNotThrow(() => new vm.Script(`async () => {\n${code}\n}`), code);
    }
  }
});

test("without filters the address has no question mark at its end", () => {
  assert.match(waysOf(everything, origin, now)[2]?.code ?? "", /EventSource\("https:\/\/vstream\.example\.com:8443\/api\/v1\/events"\)/);
});
