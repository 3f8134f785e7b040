/**
 * Builds the page: `node web/build.mjs OUT` (default: spaceport/web/static). What belongs in a browser is bundled, named
 * by its hash, and weighed: a part that is over its budget fails the build. `node web/build.mjs --tests OUT` bundles the
 * tests of the modules for `node --test` instead.
 */
import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const WEB = dirname(fileURLToPath(import.meta.url));
const STATIC = join(WEB, "..", "spaceport", "web", "static");
/** The pages, and in what their HTML differs. */
const PAGES = {
  index: { scheme: "light dark" },
  share: { scheme: "light dark", more: "preview.html" },
  embed: { scheme: "dark" },
};
const WORKER = "src/upload/worker.ts";
const CSS = "src/styles/page.css";
const ENGINE = "src/viewer/open.ts";
const KB = 1000;
/** Bytes after gzip: what arrives before the first paint, and the viewer, which is loaded when there is a model. */
const BUDGETS = { html: 4 * KB, css: 10 * KB, js: 40 * KB, worker: 20 * KB, viewer: 600 * KB };

const common = {
  absWorkingDir: WEB,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none", // licences.txt has them all
  metafile: true,
  logLevel: "warning",
};

async function bundlePage(out) {
  await rm(out, { recursive: true, force: true });
  const assets = join(out, "assets");
  const named = { ...common, outdir: assets, entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]" };
  const alone = await build({ ...named, entryPoints: [WORKER, CSS, ENGINE] });
  const [worker, css, engine] = [WORKER, CSS, ENGINE].map((entry) => fileOf(alone, entry));
  const define = { WORKER_FILE: JSON.stringify(basename(worker)) };
  const sizes = { html: 0, css: await gzipped(css), js: 0, worker: await gzipped(worker), viewer: 0 };
  const template = await readFile(join(WEB, "page.html"), "utf8");
  const pages = [];
  for (const [name, { scheme, more }] of Object.entries(PAGES)) {
    const source = `src/${name}.ts`;
    const plugins = [inOnePiece(join(WEB, source), basename(engine))];
    const page = await build({ ...named, entryPoints: [source], splitting: true, define, plugins });
    pages.push(page);
    const entry = fileOf(page, source);
    const eager = imported(page, entry, ["import-statement"]);
    eager.delete(entry); // which only imports the page's script
    await rm(entry);
    const [script, ...others] = eager;
    if (others.length) throw new Error(`${name}: in ${eager.size} pieces: ${[...eager]}`);
    const all = imported(page, script, ["import-statement", "dynamic-import"]);
    const html = template
      .replaceAll("{{theme}}", scheme === "dark" ? ' data-theme="dark"' : "")
      .replaceAll("{{scheme}}", scheme)
      .replaceAll("{{more}}", more ? await readFile(join(WEB, more), "utf8") : "")
      .replaceAll("{{css}}", relative(out, css))
      .replaceAll("{{js}}", relative(out, script));
    await writeFile(join(out, `${name}.html`), html);
    sizes.html = Math.max(sizes.html, gzipSync(html, { level: 9 }).length);
    sizes.js = Math.max(sizes.js, await gzipped(script));
    sizes.viewer = Math.max(sizes.viewer, await gzippedAll([engine, ...[...all].filter((file) => !eager.has(file))]));
  }
  for (const name of ["icon.svg", "card.jpg"]) await copyFile(join(WEB, "src", name), join(out, name));
  await writeFile(join(out, "licences.txt"), await licences([alone, ...pages]));
  await writeFile(join(out, "sizes.json"), JSON.stringify({ sizes, budgets: BUDGETS }, null, 2) + "\n");
  return sizes;
}

/**
 * A page's script without the engine, which all pages share, and in one piece: each file that the browser asks for
 * costs it a round trip and, on a slow device, 10 ms. Every module imports the page's script, and so does what is loaded
 * later: esbuild sees no part of the page that only some of that needs, and splits none off.
 */
function inOnePiece(entry, engineFile) {
  return {
    name: "in one piece",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\/open\.ts$/ }, ({ kind }) => (kind === "dynamic-import" ? { path: `./${engineFile}`, external: true } : undefined));
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const all = path === entry ? "" : `import ${JSON.stringify(entry)};\n`;
        return { contents: all + (await readFile(path, "utf8")), loader: "ts" };
      });
    },
  };
}

/** The output file of an entry point. */
function fileOf(result, entry) {
  const [file] = Object.entries(result.metafile.outputs).find(([, output]) => output.entryPoint === entry);
  return join(WEB, file);
}

/** A script and all that it imports in one of these ways, directly or not. */
function imported(result, script, kinds, seen = new Set()) {
  if (seen.has(script)) return seen;
  seen.add(script);
  const output = result.metafile.outputs[relative(WEB, script)];
  for (const each of output.imports) if (!each.external && kinds.includes(each.kind)) imported(result, join(WEB, each.path), kinds, seen);
  return seen;
}

async function gzipped(file) {
  return gzipSync(await readFile(file), { level: 9 }).length;
}

async function gzippedAll(files) {
  const sizes = await Promise.all([...files].map(gzipped));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The licence of every package of which something is in the bundles. */
async function licences(results) {
  const inputs = results.flatMap((result) => Object.keys(result.metafile.inputs));
  const names = inputs.map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean);
  const texts = [];
  for (const name of [...new Set(names)].sort()) {
    const folder = join(WEB, "node_modules", name);
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    texts.push(`${name} ${version}, ${license}\n\n${file ? await readFile(join(folder, file), "utf8") : ""}`);
  }
  return texts.join("\n\n----\n\n");
}

async function bundleTests(out) {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const names = [...(await readdir(join(WEB, "tests"))), ...(await readdir(join(WEB, "tests/tools"))).map((name) => `tools/${name}`)];
  const entryPoints = names.filter((name) => name.endsWith(".ts")).map((name) => `tests/${name}`);
  await build({ ...common, minify: false, sourcemap: "inline", platform: "node", entryPoints, outdir: out, outbase: "tests", outExtension: { ".js": ".mjs" } });
}

const [first, second] = process.argv.slice(2);
if (first === "--tests") {
  await bundleTests(second);
} else {
  const sizes = await bundlePage(first ?? STATIC);
  const over = Object.keys(BUDGETS).filter((name) => sizes[name] > BUDGETS[name]);
  for (const [name, bytes] of Object.entries(sizes))
    console.log(`${name.padEnd(7)}${(bytes / KB).toFixed(1).padStart(7)} of ${BUDGETS[name] / KB} kB after gzip`);
  if (over.length) {
    console.error(`Over budget: ${over.join(", ")}`);
    process.exit(1);
  }
}
