// Encodes the same texts in Chromium with @light-splade/web and with transformers.js, which runs the graph that
// `light-splade export model --onnx` writes, both on one thread: texts a second, the time until the first vector, memory.
//
//   web/build --release
//   light-splade export model --model mini-ja-en --onnx -o GRAPH
//   npm install --ignore-scripts --prefix TOOLS playwright-core @huggingface/transformers
//   node scripts/bench/web.mjs GRAPH TOOLS [TEXTS] [SECONDS]
//
// TEXTS is a file with a text a line [data/demo/corpus.jsonl]. CHROMIUM names the browser [/usr/bin/chromium].
//
// transformers.js has no tokenizer for Japanese models, so it gets the token ids of our tokenizer, and its time has no
// tokenization in it, but ours has. Its logits are pooled in JavaScript, as its users do. Both get one text at a time, and
// batches of 8 texts of similar lengths, padded for transformers.js.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize, resolve } from "node:path";

const root = new URL("../../", import.meta.url).pathname;
const [graph, tools, textFile = join(root, "data/demo/corpus.jsonl"), seconds = "10"] = process.argv.slice(2);
if (!tools) {
  console.error("usage: node scripts/bench/web.mjs GRAPH TOOLS [TEXTS] [SECONDS]");
  process.exit(2);
}
const require = createRequire(`${resolve(tools)}/node_modules/`);
const { chromium } = require("playwright-core");
const lines = readFileSync(textFile, "utf8").split("\n").filter(Boolean);
const texts = lines.map((line) => (line.startsWith("{") ? JSON.parse(line).text : line));

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const places = {
  package: join(root, "target/web/package"),
  models: resolve(graph, ".."),
  transformers: join(resolve(tools), "node_modules/@huggingface/transformers/dist"),
  onnxruntime: join(resolve(tools), "node_modules/onnxruntime-web/dist"),
};
const server = createServer((request, response) => {
  const [, place, ...rest] = normalize(new URL(request.url, "http://localhost").pathname).split("/");
  if (!place) return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>bench</title>");
  try {
    const file = readFileSync(join(places[place] ?? "/none", ...rest));
    response.writeHead(200, { "content-type": TYPES[extname(rest.at(-1))] ?? "application/octet-stream", "content-length": file.length }).end(file);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}/`;

const runs = {
  async ours({ texts, seconds, precision }) {
    const start = performance.now();
    const { SparseEncoder, initialize } = await import("/package/js/index.js");
    const encoder = await SparseEncoder.load(precision === "f32" ? "/models/model-folder" : "mini-ja-en", precision === "f32" ? { precision, dictionary: true } : {});
    const loaded = performance.now();
    await encoder.encode(texts[0]);
    const first = performance.now();
    const module = await initialize();
    const rate = async (batch) => {
      const batches = globalThis.batchesOf(texts.map((_, at) => at), texts.map((text) => text.length), batch);
      const begin = performance.now();
      let done = 0;
      for (let turn = 0; performance.now() - begin < seconds * 1000; turn += 1) {
        const some = batches[turn % batches.length].map((at) => texts[at]);
        await encoder.encode(some);
        done += some.length;
      }
      return (done / (performance.now() - begin)) * 1000;
    };
    return { kind: module.instructions(), load: loaded - start, first: first - loaded, one: await rate(1), eight: await rate(8), memory: module.memory.buffer.byteLength };
  },

  async transformers({ graph, ids, seconds }) {
    const start = performance.now();
    const { AutoModelForMaskedLM, Tensor, env } = await import("/transformers/transformers.web.js");
    env.localModelPath = "/models/";
    env.allowLocalModels = true;
    env.allowRemoteModels = false;
    env.useBrowserCache = false;
    env.backends.onnx.wasm.numThreads = 1;
    env.backends.onnx.wasm.wasmPaths = "/onnxruntime/";
    const model = await AutoModelForMaskedLM.from_pretrained(graph, { device: "wasm", dtype: "fp32", subfolder: "", local_files_only: true });
    const loaded = performance.now();
    const encode = async (some) => {
      const length = Math.max(...some.map((ids) => ids.length));
      const of = (value) => new Tensor("int64", BigInt64Array.from(some.flatMap((ids) => Array.from({ length }, (_, at) => BigInt(value(ids, at))))), [some.length, length]);
      const inputs = { input_ids: of((ids, at) => ids[at] ?? 0), attention_mask: of((ids, at) => (at < ids.length ? 1 : 0)) };
      const { logits } = await model(inputs);
      const vocabulary = logits.dims[2];
      const vectors = some.map((ids, text) => {
        const largest = new Float32Array(vocabulary);
        for (let token = 0; token < ids.length; token += 1) {
          const row = logits.data.subarray((text * length + token) * vocabulary, (text * length + token + 1) * vocabulary);
          for (let term = 0; term < vocabulary; term += 1) if (row[term] > largest[term]) largest[term] = row[term];
        }
        const indices = [];
        const values = [];
        largest.forEach((weight, term) => {
          if (weight > 0) {
            indices.push(term);
            values.push(Math.log1p(weight));
          }
        });
        return { indices, values };
      });
      logits.dispose();
      return vectors;
    };
    const sample = (await encode([ids[0]]))[0];
    const first = performance.now();
    const rate = async (batch) => {
      const batches = globalThis.batchesOf(ids, ids.map((ids) => ids.length), batch);
      const begin = performance.now();
      let done = 0;
      for (let turn = 0; performance.now() - begin < seconds * 1000; turn += 1) {
        const some = batches[turn % batches.length];
        await encode(some);
        done += some.length;
      }
      return (done / (performance.now() - begin)) * 1000;
    };
    return { kind: "onnxruntime-web", load: loaded - start, first: first - loaded, one: await rate(1), eight: await rate(8), sample };
  },
};

// Batches of neighbours in the order of lengths, so that little is padded, in an order that mixes lengths.
const batchesOf = `globalThis.batchesOf = (items, lengths, size) => {
  const order = items.map((_, at) => at).sort((a, b) => lengths[a] - lengths[b]);
  const batches = [];
  for (let at = 0; at < order.length; at += size) batches.push(order.slice(at, at + size).map((at) => items[at]));
  return batches.map((batch, at) => [batch, (at * 7919) % batches.length]).sort((a, b) => a[1] - b[1]).map(([batch]) => batch);
}`;

async function measure(run, options) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--enable-precise-memory-info"],
  });
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.evaluate(batchesOf);
    const result = await page.evaluate(run, options);
    const processes = require("node:fs").readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
        const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1] ?? 0);
        return command.includes("--type=renderer") ? peak : 0;
      } catch {
        return 0;
      }
    });
    return { version: browser.version(), ...result, renderer: Math.max(...processes) * 1024 };
  } finally {
    await browser.close();
  }
}

// Our token ids, for transformers.js.
const { SparseEncoder, initialize } = await import(`${places.package}/js/index.js`);
await initialize();
const tokenizer = await SparseEncoder.load("mini-ja-en");
const vocabulary = new Map(readFileSync(join(graph, "vocab.txt"), "utf8").split("\n").map((token, id) => [token, id]));
const ids = texts.map((text) => tokenizer.tokenize(text).map((token) => vocabulary.get(token)));
places["models"] = resolve(graph, "..");
const name = resolve(graph).split("/").pop();

const tokens = ids.map((ids) => ids.length);
console.log(`${texts.length} texts with ${(tokens.reduce((a, b) => a + b) / tokens.length).toFixed(1)} tokens on average, ${Math.max(...tokens)} at most`);
const show = (what, { kind, load, first, one, eight, memory, renderer }) =>
  console.log(
    `${what.padEnd(28)} ${kind.padEnd(18)} load ${load.toFixed(0)} ms, first vector ${first.toFixed(0)} ms, ` +
      `${one.toFixed(1)} texts/s alone, ${eight.toFixed(1)} in batches of 8, ` +
      `${memory ? `module ${(memory / 1e6).toFixed(0)} MB, ` : ""}peak of the renderer ${(renderer / 1e6).toFixed(0)} MB`,
  );
const int8 = await measure(runs.ours, { texts, seconds: Number(seconds) });
console.log(`Chromium ${int8.version}`);
show("@light-splade/web int8", int8);
const f32 = await measure(eval(`(${runs.ours.toString().replace("async ours", "async function").replaceAll("/models/model-folder", `/models/${name}`)})`), { texts, seconds: Number(seconds), precision: "f32" });
show("@light-splade/web f32", f32);
const theirs = await measure(runs.transformers, { graph: name, ids, seconds: Number(seconds) });
show("transformers.js f32", theirs);
// Both compute the same vectors, up to the rounding of their sums.
const folder = await SparseEncoder.load(new URL(`file://${resolve(graph)}/`), { precision: "f32", dictionary: true });
const ours = await folder.encode(texts[0]);
const apart = theirs.sample.indices.map((index, at) => Math.abs(ours.weight(index) - theirs.sample.values[at]));
console.log(`the largest difference of a weight between f32 and transformers.js is ${Math.max(...apart).toExponential(1)}`);
console.log(`int8: ${(int8.one / theirs.one).toFixed(2)} times the texts/s of transformers.js alone, ${(int8.eight / theirs.eight).toFixed(2)} in batches`);
console.log(`f32:  ${(f32.one / theirs.one).toFixed(2)} times alone, ${(f32.eight / theirs.eight).toFixed(2)} in batches`);
server.close();
