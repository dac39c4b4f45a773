import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Check } from "../src/model/check";
import { everything, type Query } from "../src/model/query";
import { Search } from "../src/model/search";

// asked stands in for the server, which refuses what has "bad" in it, and returns what it was asked.
function asked(): string[] {
  const filters: string[] = [];
  mock.method(globalThis, "fetch", (url: string, init: RequestInit) => {
    const params = new URLSearchParams(url.slice(url.indexOf("?")));
    const filter = params.get("filter") ?? "";
    filters.push(filter);
    assert.equal(params.get("limit"), "1");
    assert.equal(params.get("offset"), "latest");
    const document = { type: "urn:vstream:problem:invalid-filter", title: "Invalid filter", status: 400, detail: "no", errors: [{ line: 1, column: 1, message: "bad" }] };
    const answer = filter.includes("bad") ? Response.json(document, { status: 400 }) : Response.json([]);
    return new Promise((resolve, reject) => {
      init.signal?.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
      if (!filter.includes("slow")) resolve(answer);
    });
  });
  return filters;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("an expression is checked once somebody stops typing", async () => {
  const filters = asked();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const check = new Check();
    for (const text of ["b", "ba", "bad"]) {
      check.of(text);
      mock.timers.tick(299);
    }
    assert.deepEqual(filters, []);
    mock.timers.tick(1);
    await settled();
    assert.deepEqual(filters, ["bad"]);
    assert.equal(check.verdict.is, "bad");
    check.of("");
    assert.equal(check.verdict.is, "none");
  } finally {
    mock.timers.reset();
    mock.restoreAll();
  }
});

test("what is typed next ends the check of what was typed before", async () => {
  asked();
  try {
    const check = new Check();
    const before = check.now("slow");
    assert.equal((await check.now("good"))?.is, "good");
    assert.equal(await before, null);
    assert.equal(check.verdict.is, "good");
  } finally {
    mock.restoreAll();
  }
});

test("only an expression that compiles becomes part of the query", async () => {
  asked();
  try {
    const app = { query: { ...everything, q: "disk" }, setQuery: (q: Query) => void (app.query = q) };
    const search = new Search(app);
    search.type("bad == 1");
    assert.equal(search.kind, "cel");
    assert.equal(await search.apply(), false);
    assert.equal(app.query.filter, "");
    assert.equal(search.text, "bad == 1");
    search.type(" vm == 'a' ");
    assert.equal(await search.apply(), true);
    assert.deepEqual(app.query, { ...everything, q: "disk", filter: "vm == 'a'" });
    search.type("bad == 1");
    search.choose("text");
    assert.equal(await search.apply(), true);
    assert.equal(app.query.q, "bad == 1");
  } finally {
    mock.restoreAll();
  }
});
