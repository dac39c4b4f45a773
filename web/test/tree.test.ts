import assert from "node:assert/strict";
import { test } from "node:test";
import { keyAt, linesOf, opens } from "../src/model/tree";

const shape = (open: string[] = [], terse = false) => ({ open: new Set(open), terse });
const paths = (value: unknown, open: string[] = [], terse = false) => linesOf(value, shape(open, terse)).map((l) => l.path);

test("only what is in open nodes is there, at paths as jq has them", () => {
  const value = { id: "1", data: { Vm: { Name: "web" }, Arguments: [{ Key: "a" }], "weird key": { '"': 1 } } };
  assert.deepEqual(paths(value), [".id", ".data"]);
  assert.deepEqual(paths(value, [".data", ".data.Arguments", ".data.Arguments[0]", '.data["weird key"]']), [
    ".id", ".data", ".data.Vm", ".data.Arguments", ".data.Arguments[0]", ".data.Arguments[0].Key", '.data["weird key"]', '.data["weird key"]["\\""]',
  ]);
  assert.deepEqual(paths({ "a b": 1 }), ['.["a b"]']);
});

test("empty values can be left out, with what has only such", () => {
  assert.deepEqual(paths({ a: 0, b: "", c: null, d: false, e: [], f: { g: { h: null } }, i: 1, j: { k: 0, l: "x" } }, [".j"], true), [".i", ".j", ".j.l"]);
});

test("long arrays come in parts", () => {
  const value = { all: Array.from({ length: 250 }, (_, i) => i) };
  assert.deepEqual(paths(value, [".all"]), [".all", ".all[0–99]", ".all[100–199]", ".all[200–249]"]);
  const open = linesOf(value, shape([".all", ".all[200–249]"]));
  assert.equal(open.length, 4 + 50);
  assert.deepEqual(open.at(-1), { path: ".all[249]", name: "249", level: 3, value: 249, size: 0, open: false, place: 50, of: 50, parent: ".all[200–249]", part: false });
  const huge = { all: Array.from({ length: 200_000 }, (_, i) => i) };
  assert.equal(linesOf(huge, shape([".all"])).length, 1 + 20);
  assert.equal(linesOf(huge, shape([".all", ".all[0–9999]"])).length, 1 + 20 + 100);
});

test("long texts are folded until they are opened", () => {
  const [line] = linesOf({ a: "x".repeat(1000), b: "x" }, shape());
  assert.equal(line && opens(line), true);
  assert.equal(linesOf({ a: "x".repeat(1000) }, shape([".a"]))[0]?.open, true);
});

test("what is nested without end is shown as far as people look", () => {
  let value: Record<string, unknown> = {};
  for (let i = 0; i < 5_000; i++) value = { a: value };
  const open = Array.from({ length: 300 }, (_, i) => ".a".repeat(i + 1));
  assert.equal(paths(value, open).length, 100);
});

test("arrow keys go through the tree", () => {
  const lines = linesOf({ a: 1, b: { c: 2, d: {} } }, shape([".b"]));
  assert.deepEqual(lines.map((l) => l.path), [".a", ".b", ".b.c", ".b.d"]);
  assert.deepEqual(keyAt(lines, 0, "ArrowUp"), { to: 0 });
  assert.deepEqual(keyAt(lines, 0, "ArrowDown"), { to: 1 });
  assert.deepEqual(keyAt(lines, 0, "End"), { to: 3 });
  assert.deepEqual(keyAt(lines, 3, "Home"), { to: 0 });
  assert.deepEqual(keyAt(lines, 1, "ArrowRight"), { to: 2 });
  assert.deepEqual(keyAt(lines, 1, "ArrowLeft"), { toggle: true });
  assert.deepEqual(keyAt(lines, 2, "ArrowLeft"), { to: 1 });
  assert.equal(keyAt(lines, 0, "ArrowLeft"), null);
  assert.equal(keyAt(lines, 3, "ArrowRight"), null);
  assert.deepEqual(keyAt(lines, 1, "Enter"), { toggle: true });
  assert.equal(keyAt(lines, 0, "Enter"), null);
  assert.equal(keyAt(lines, 0, "j"), null);
  assert.equal(keyAt([], 0, "ArrowDown"), null);
});
