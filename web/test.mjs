// Runs test/*.test.ts, or the files that are named. Node 20 does not read TypeScript, so they are
// bundled first.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const named = process.argv.slice(2);
const files = named.length ? named : readdirSync(path.join(here, "test")).filter((f) => /\.test\.tsx?$/.test(f)).map((f) => "test/" + f);

const scratch = mkdtempSync(path.join(tmpdir(), "vstream-web-"));
try {
  await build({
    absWorkingDir: here,
    entryPoints: files,
    outdir: scratch,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".css": "empty" },
    sourcemap: "inline",
    logLevel: "warning",
  });
  const bundled = readdirSync(scratch, { recursive: true }).filter((f) => f.endsWith(".mjs")).map((f) => path.join(scratch, f));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...bundled], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
