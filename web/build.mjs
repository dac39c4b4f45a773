// Builds the page into internal/webui/dist, or the directory that is named: index.html, and in
// assets what it loads, each under a name that changes with its content. The same source makes
// the same bytes, everywhere; CI compares them.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = process.argv[2] ? path.resolve(process.argv[2]) : path.join(here, "../internal/webui/dist");

await rm(dist, { recursive: true, force: true });
await mkdir(path.join(dist, "assets"), { recursive: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.tsx"],
  outdir: dist,
  entryNames: "assets/[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "dataurl" },
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none", // they are in the licences
  metafile: true,
  logLevel: "warning",
});

const places = {
  script: built(".js"),
  style: built(".css"),
  icon: await asset("icon.svg", await readFile(path.join(here, "icon.svg"))),
  licences: await asset("licences.txt", await licences()),
};
const template = await readFile(path.join(here, "index.html"), "utf8");
const index = template.replace(/\{\{(\w+)\}\}/g, (_, name) => {
  if (!places[name]) throw new Error(`index.html: there is no {{${name}}}; there are ${Object.keys(places).join(", ")}`);
  return places[name];
});
await writeFile(path.join(dist, "index.html"), index);

// built returns the address of the one file that the bundler has written with this ending.
function built(ending) {
  const files = Object.keys(metafile.outputs).filter((file) => file.endsWith(ending));
  if (files.length !== 1) throw new Error(`there are ${files.length} files with ${ending}, which should be one`);
  return "/assets/" + path.basename(files[0]);
}

// asset writes a file and returns its address.
async function asset(name, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8);
  const { name: stem, ext } = path.parse(name);
  const file = `assets/${stem}-${hash}${ext}`;
  await writeFile(path.join(dist, file), content);
  return "/" + file;
}

// licences returns those of all packages that are in the bundle.
async function licences() {
  const dirs = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const dir = input.match(/^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1];
    if (dir) dirs.add(path.join(here, dir));
  }
  const texts = [];
  for (const dir of dirs) {
    const { name, version } = JSON.parse(await readFile(path.join(dir, "package.json"), "utf8"));
    const text = await readFile(path.join(dir, "LICENSE"), "utf8");
    texts.push(`${name} ${version}\n\n${text.replaceAll("\r\n", "\n").trim()}\n`);
  }
  return "The page of vstream contains the following.\n\n" + texts.sort().join(`\n${"-".repeat(72)}\n\n`);
}
