// The package in Node.js against the native program.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expected, lines, packageFolder, packageModule, pairs, root, texts, vectors } from "./common.js";

const { LightSpladeError, SparseEncoder, SparseEncoderPool, SparseIndex, SparseVector } = await packageModule();
const folder = (path) => pathToFileURL(path.endsWith("/") ? path : `${path}/`);
const encoder = await SparseEncoder.load("mini-ja-en");

for (const side of ["query", "document"]) {
  test(`vectors of 8 bits are those of the native program: ${side}`, async () => {
    const encoded = side === "query" ? await encoder.encodeQuery(texts) : await encoder.encodeDocument(texts);
    assert.equal(encoded.length, texts.length);
    assert.deepEqual(encoded.map(pairs), await vectors(`int8-${side}`));
  });
}

for (const [model, name] of [["models/demo/", "demo-f32"], ["models/mini-ja-en/", "mini-f32"]]) {
  test(`vectors of 32 bits have the same bits, from a folder: ${model}`, async () => {
    const options = { precision: "f32", dictionary: true };
    const f32 = await SparseEncoder.load(new URL(model, root), options);
    assert.deepEqual((await f32.encode(texts)).map(pairs), await vectors(name));
    f32.dispose();
  });
}

test("both modules compute the same bits", async () => {
  assert.equal((await (await packageModule()).initialize()).instructions(), "relaxed-simd128");
  const glue = await packageModule("wasm/simd/splade_web.js");
  await glue.default({ module_or_path: readFileSync(join(packageFolder, "wasm/simd/splade_web_bg.wasm")) });
  assert.equal(glue.instructions(), "simd128");
  for (const precision of ["int8", "f32"]) {
    const files = new glue.Files();
    for (const name of ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"]) {
      files.add(name, readFileSync(new URL(`models/demo/${name}`, root)));
    }
    files.add("unidic_lite.mecab", readFileSync(join(packageFolder, "models/unidic_lite.mecab")));
    const plain = glue.Encoder.load("demo", files, JSON.stringify({ precision }));
    const encoded = plain.encode(false, texts);
    const demo = await SparseEncoder.load(new URL("models/demo/", root), { precision, dictionary: true });
    const wanted = (await demo.encode(texts)).flatMap((vector) => Array.from(vector.values));
    assert.deepEqual(Array.from(encoded.weights()), wanted);
  }
});

test("one text gives a vector, and the same alone or with others", async () => {
  const [alone, together] = [await encoder.encode(texts[1]), await encoder.encode(texts)];
  assert.deepEqual(pairs(alone), pairs(together[1]));
  assert.deepEqual(await encoder.encode([]), []);
  assert.ok(alone instanceof SparseVector && alone.indices instanceof Uint32Array && alone.values instanceof Float32Array);
});

test("tokens, explanations and scores", async () => {
  const explanation = await encoder.explain("日本の首都は東京です。");
  const vector = await encoder.encode("日本の首都は東京です。");
  assert.deepEqual(explanation.tokens, encoder.tokenize("日本の首都は東京です。"));
  assert.deepEqual(explanation.terms.map((term) => [term.index, term.weight]), vector.byWeight());
  assert.deepEqual(encoder.decode(vector, 3).map((term) => term.token), ["首都", "東京", "日本"]);
  assert.ok(explanation.terms.every((term) => term.position < explanation.tokens.length));
  const query = await encoder.encodeQuery("日本の首都");
  const shares = encoder.intersection(query, vector);
  const sum = shares.reduce((all, share) => all + share.queryWeight * share.documentWeight, 0);
  assert.ok(Math.abs(sum - encoder.similarity(query, vector)) < 1e-5 && sum > 1);
  assert.equal(encoder.vocabularySize, 36864);
});

test("progress and cancelling", async () => {
  const seen = [];
  await encoder.encode(texts, { progress: (progress) => seen.push(progress) });
  assert.deepEqual(seen.at(-1), { done: texts.length, total: texts.length });
  const controller = new AbortController();
  const progress = () => controller.abort();
  await assert.rejects(encoder.encode(texts, { signal: controller.signal, progress }), { name: "AbortError" });
});

test("encoders in workers give the same vectors", async () => {
  const seen = [];
  const pool = await SparseEncoderPool.load("mini-ja-en", { workers: 2, progress: (progress) => seen.push(progress) });
  assert.ok(pool.size === 2 && seen.length > 0);
  const many = [...texts, ...texts, ...texts];
  const wanted = await vectors("int8-document");
  assert.deepEqual((await pool.encode(many)).map(pairs), [...wanted, ...wanted, ...wanted]);
  assert.deepEqual(pairs(await pool.encodeQuery(texts[3])), (await vectors("int8-query"))[3]);
  assert.deepEqual(await pool.encode([]), []);
  pool.dispose();
  await assert.rejects(pool.encode("a"), /disposed of/);
  await assert.rejects(SparseEncoderPool.load(new URL("data/", root).href, { workers: 1 }), /has no config.json/);
});

test("errors have hints", async () => {
  const rejects = async (work, message, hint) =>
    assert.rejects(work, (error) => {
      assert.ok(error instanceof LightSpladeError, error.stack);
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
  await rejects(SparseEncoder.load(new URL("data/", root)), /has no config.json/, /folder of a model/);
  await rejects(SparseEncoder.load("mini-ja-en", { precision: "f16" }), /option precision/, /^$/);
  await rejects(SparseEncoder.load("mini-ja-en", { presicion: "f32" }), /no option "presicion"/, /precision, maxLength/);
  await rejects(SparseEncoder.fromFiles({ "a.splade": new Uint8Array(100) }), /packed model is damaged/, /load the file again/);
  await rejects(SparseEncoder.fromFiles({ "config.json": new TextEncoder().encode("{}") }), /cannot load the model/, /^/);
  await rejects(encoder.encode([1]), /not a string/, /array of strings/);
  await rejects(SparseIndex.load(folder(fileURLToPath(new URL("data/", root)))), /index.json cannot be read/, /./);
  await rejects(encoder.explain("a", { side: "left" }), /side/, /^$/);
  assert.throws(() => new SparseVector([2, 1], [1, 1]), LightSpladeError);
});

test("a search in memory ranks as the native one", async () => {
  const index = await SparseIndex.load(folder(expected("index")), { encoder });
  assert.equal(index.size, 150);
  await compare(index);
  const [hit] = await index.search("海が見える電車の席", { k: 1 });
  const shares = await index.explain("海が見える電車の席", hit.id);
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share.score, 0) - hit.score) < 1e-4);
  assert.equal(shares[0].token, "海");
  assert.ok(index.vector(hit.id).weight(shares[0].index) === Math.fround(shares[0].documentWeight));
  assert.equal(index.vector("none"), undefined);
  assert.equal(await index.explain("海", "none"), undefined);
  assert.deepEqual(await index.search("海", { threshold: 1e9 }), []);
  index.dispose();
});

test("an index with stored texts gives them back", async () => {
  const index = await SparseIndex.load(folder(expected("index--store")), { encoder });
  const corpus = new Map(lines(new URL("data/toy-beir/corpus.jsonl", root)).map((line) => JSON.parse(line)).map((row) => [row._id, row]));
  for (const id of ["d1", "d2", "d150"]) {
    assert.deepEqual(index.document(id), { title: corpus.get(id).title ?? "", text: corpus.get(id).text });
  }
  assert.equal(index.document("none"), undefined);
});

test("a search in parts ranks as the native one, and reads a part", async () => {
  const served = await serve(expected("index"));
  try {
    const index = await SparseIndex.open(served.url, { encoder });
    const opened = served.bytes();
    await index.search("海が見える電車の席");
    assert.ok(served.bytes() > opened);
    await compare(index);
    const before = served.bytes();
    await index.search("海が見える電車の席");
    assert.equal(served.bytes(), before, "what was read stays");
    assert.throws(() => index.vector("d1"), /whole index/);
  } finally {
    served.close();
  }
  // Without ranges, too: of a server that does not know them, and of the disk.
  const whole = await serve(expected("index"), false);
  await compare(await SparseIndex.open(whole.url, { encoder }));
  whole.close();
  await compare(await SparseIndex.open(folder(expected("index")), { encoder }));
});

test("an index of another model is refused", async () => {
  const demo = await SparseEncoder.load(new URL("models/demo/", root), { dictionary: true });
  await assert.rejects(SparseIndex.load(folder(expected("index")), { encoder: demo }), /index was made with the model/);
});

/** Compares the hits of all queries with those of the native program, scores to the bit. */
async function compare(index) {
  const queries = lines(new URL("data/toy-beir/queries.jsonl", root)).map((line) => JSON.parse(line));
  const wanted = new Map(lines(expected("hits.ndjson")).map((line) => JSON.parse(line)).map((row) => [row.qid, row.results]));
  assert.ok(queries.length > 50 && wanted.size === queries.length);
  for (const query of queries) {
    const hits = await index.search(query.text);
    const results = wanted.get(query._id).map((hit) => ({ id: hit.doc_id, score: Math.fround(hit.score) }));
    assert.deepEqual(hits, results, query.text);
  }
}

/** Serves a folder, with byte ranges or without. */
async function serve(path, ranges = true) {
  let bytes = 0;
  const server = createServer((request, response) => {
    let file;
    try {
      file = readFileSync(join(path, request.url.split("/").pop()));
    } catch {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    if (!ranges || (from === undefined && to === undefined)) {
      response.writeHead(200).end(file);
      return;
    }
    const start = from === "" ? Math.max(0, file.length - Number(to)) : Number(from);
    const end = from === "" || to === "" ? file.length : Math.min(file.length, Number(to) + 1);
    bytes += end - start;
    response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${file.length}` });
    response.end(file.subarray(start, end));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${server.address().port}/`);
  return { url, bytes: () => bytes, close: () => server.close() };
}
