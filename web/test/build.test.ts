import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

// build returns the files that building makes, by name.
function build(dir: string): Map<string, string> {
  execFileSync(process.execPath, ["build.mjs", dir]);
  return new Map(
    ["index.html", ...readdirSync(path.join(dir, "assets")).map((name) => "assets/" + name)].map((name) => [
      name,
      readFileSync(path.join(dir, name), "latin1"),
    ]),
  );
}

test("the same source makes the same bytes", () => {
  const scratch = mkdtempSync(path.join(tmpdir(), "vstream-web-"));
  try {
    const once = build(path.join(scratch, "once"));
    assert.deepEqual(build(path.join(scratch, "some/where/else")), once);
    assert.equal(once.size, 5);
  } finally {
    rmSync(scratch, { recursive: true });
  }
});
