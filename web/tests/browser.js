// The package and the demo in Chromium: the vectors of the native program, the cache, the search by ranges, and that
// nothing is asked of another host.
//
//   PACKAGE, EXPECTED, DEMO and TOOLS as web/test sets them; CHROMIUM is the browser.
//   node web/tests/browser.js [FOLDER FOR SCREENSHOTS]

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { lines, packageFolder, root, texts, vectors } from "./common.js";

const require = createRequire(`${process.env.TOOLS}/node_modules/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const screenshots = process.argv[2];
const TYPES = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const places = { package: packageFolder, expected: process.env.EXPECTED, demo: process.env.DEMO, data: new URL("data", root).pathname };

// A static server with byte ranges and entity tags, as web servers have them.
const server = createServer((request, response) => {
  const [, place, ...rest] = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname)).split("/");
  if (!place) {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>test</title>");
    return;
  }
  let file;
  try {
    file = readFileSync(join(places[place] ?? "/none", ...(rest.at(-1) ? rest : [...rest.slice(0, -1), "index.html"])));
  } catch {
    response.writeHead(404).end();
    return;
  }
  const headers = { "content-type": TYPES[extname(rest.at(-1) || "index.html")] ?? "application/octet-stream", "accept-ranges": "bytes" };
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  if (from === undefined) {
    response.writeHead(200, { ...headers, "content-length": file.length }).end(file);
    return;
  }
  const start = from === "" ? Math.max(0, file.length - Number(to)) : Number(from);
  const end = from === "" || to === "" ? file.length : Math.min(file.length, Number(to) + 1);
  response.writeHead(206, { ...headers, "content-range": `bytes ${start}-${end - 1}/${file.length}` }).end(file.subarray(start, end));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  await inPage();
  for (const [width, scheme, locale] of [[1400, "light", "en-US"], [1400, "dark", "ja-JP"], [390, "light", "ja-JP"], [390, "dark", "en-US"]]) {
    await demo(width, scheme, locale);
  }
} finally {
  await browser.close();
  server.close();
}
console.log(`web/test: Chromium ${browser.version()} agrees`);

/** The package in a page and in a worker. */
async function inPage() {
  const context = await browser.newContext();
  const page = await context.newPage();
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(url);
  const results = await page.evaluate(async (texts) => {
    const { SparseEncoder, SparseIndex } = await import("/package/js/index.js");
    const seen = [];
    const encoder = await SparseEncoder.load("mini-ja-en", { progress: (progress) => seen.push(progress) });
    const pairs = (vector) => Array.from(vector.indices, (index, at) => [index, vector.values[at]]);
    const demo = await SparseEncoder.load("/data/../package/none/", {}).catch((error) => error.message);
    const index = await SparseIndex.open("/expected/index", { encoder });
    const again = [];
    await SparseEncoder.load("mini-ja-en", { progress: (progress) => again.push(progress.cached) });
    return {
      query: (await encoder.encodeQuery(texts)).map(pairs),
      document: (await encoder.encodeDocument(texts)).map(pairs),
      hits: await index.search("海が見える電車の席"),
      progress: seen.filter((one) => one.loaded === one.total).length,
      cached: again.length > 0 && again.every(Boolean),
      missing: demo,
    };
  }, texts);
  for (const side of ["query", "document"]) assert.deepEqual(results[side], await vectors(`int8-${side}`), side);
  const wanted = lines(join(process.env.EXPECTED, "hits.ndjson")).map((line) => JSON.parse(line));
  const queries = lines(new URL("data/toy-beir/queries.jsonl", root)).map((line) => JSON.parse(line));
  const query = queries.find((query) => query.text === "海が見える電車の席");
  if (query) {
    const hits = wanted.find((row) => row.qid === query._id).results.map((hit) => ({ id: hit.doc_id, score: Math.fround(hit.score) }));
    assert.deepEqual(results.hits, hits);
  }
  assert.equal(results.hits.length, 10);
  assert.ok(results.progress >= 2 && results.cached, "files are told of and cached");
  assert.match(results.missing, /has no config.json/);
  const inWorker = await page.evaluate(async (text) => {
    const source = `import { SparseEncoder } from "${location.origin}/package/js/index.js";
      const encoder = await SparseEncoder.load();
      const vector = await encoder.encode(${JSON.stringify(text)});
      postMessage(Array.from(vector.indices, (index, at) => [index, vector.values[at]]));`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
  }, texts[1]);
  assert.deepEqual(inWorker, (await vectors("int8-document"))[1]);
  assert.ok(requests.every((asked) => asked.startsWith(url) || asked.startsWith("blob:")), "no other host is asked");
  await context.close();
}

/** The demo at a width, in a colour scheme and a language. */
async function demo(width, scheme, locale) {
  const name = `${width} ${scheme} ${locale}`;
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, locale });
  const page = await context.newPage();
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => assert.fail(`${name}: ${error.stack}`));
  const look = async (what) => {
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${name}: ${what} is ${overflow} pixels too wide`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { rules: { "page-has-heading-one": { enabled: false }, region: { enabled: false }, "landmark-one-main": { enabled: false } } }));
    assert.deepEqual(violations.map((violation) => `${violation.id}: ${violation.nodes[0].html}`), [], `${name}: ${what}`);
    if (screenshots) await page.screenshot({ path: `${screenshots}/${what}-${width}-${scheme}.png`, fullPage: true });
  };
  await page.goto(`${url}/demo/`);
  await page.waitForSelector("#start");
  await look("start");
  const before = requests.length;
  await page.click("#start");
  await page.waitForSelector("#terms tr", { timeout: 240_000 });
  assert.ok(requests.length > before);
  await page.hover("#tokens li:nth-child(2) button");
  assert.ok((await page.locator("#terms tr.on").count()) > 0, `${name}: a token lights its terms`);
  await look("expand");
  await page.click("#tab-compare");
  await page.waitForSelector("#shared tr");
  assert.ok(Number(await page.textContent("#score")) > 1);
  await look("compare");
  await page.click("#tab-search");
  await page.waitForSelector("#hits li");
  const loaded = requests.length;
  await page.fill("#query", "近代の日本で最初の貨幣の法律");
  await page.waitForFunction(() => document.querySelector("splade-demo").shadowRoot.querySelector("#hits strong")?.textContent === "新貨条例");
  assert.equal(requests.length, loaded, `${name}: what is typed stays in the page`);
  await look("search");
  assert.ok(requests.every((asked) => asked.startsWith(url) || asked.startsWith("data:")), `${name}: no other host is asked`);
  await context.close();
}
