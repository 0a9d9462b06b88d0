// Checks what `npm pack --dry-run --json` lists: everything that the package loads, nothing else.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const [listed] = JSON.parse(readFileSync(0, "utf8"));
const paths = listed.files.map((file) => file.path).sort();
const modules = ["relaxed", "simd"].flatMap((kind) => [`wasm/${kind}/splade_web.js`, `wasm/${kind}/splade_web_bg.wasm`]);
const scripts = ["encoder", "error", "files", "index", "models", "pool", "sparse-index", "vector", "wasm", "worker"].map((name) => `js/${name}.js`);
assert.deepEqual(paths, [
  "LICENSE", "LICENSE.unidic", "LICENSE.unidic-lite", "README.md", "bin/light-splade-web.js", "js/index.d.ts", ...scripts,
  "models/built-in.js", "models/mini-ja-en.splade", "models/unidic_lite.mecab", "package.json", ...modules,
].sort());
const size = (path) => listed.files.find((file) => file.path === path).size;
const model = size("models/mini-ja-en.splade") + size("models/unidic_lite.mecab");
// The promise of the package is 12 MB with the module, which is not optimised here.
assert.ok(model < 11.4e6, `the model and its dictionary have ${model} bytes`);
console.log(`web/test: the package has ${paths.length} files; the model and its dictionary have ${(model / 1e6).toFixed(2)} MB`);
