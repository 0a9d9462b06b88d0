// Texts to sparse vectors.

import { LightSpladeError, calling } from "./error.js";
import { addModel } from "./models.js";
import { SparseVector } from "./vector.js";
import { initialize } from "./wasm.js";

/** The options of `load` that the module takes, each with a check. */
const SETTINGS = {
  precision: (value) => ["int8", "f32"].includes(value) || "is neither \"int8\" nor \"f32\"",
  maxLength: (value) => (Number.isInteger(value) && value > 0) || "is not a whole number above 0",
  queryPrompt: (value) => typeof value === "string" || "is not a string",
  documentPrompt: (value) => typeof value === "string" || "is not a string",
  side: (value) => ["query", "document"].includes(value) || "is neither \"query\" nor \"document\"",
};
const LOADING = ["cache", "dictionary", "headers", "progress", "signal"];

/** Texts in one call into the module; between calls, the page can answer its user. */
const AT_A_TIME = 8;

/** A SPLADE model. */
export class SparseEncoder {
  #inner;

  /** @private Use `load` or `fromFiles`. */
  constructor(inner, name) {
    this.#inner = inner;
    this.name = name;
  }

  /** Loads a model by `"mini-ja-en"`, the URL of a packed model or of a folder, or a name at the Hugging Face hub. */
  static async load(model = "mini-ja-en", options = {}) {
    const settings = checked(options);
    const module = await initialize();
    const files = new module.Files();
    const name = await addModel(files, model, options);
    return SparseEncoder.#of(module, name, files, settings);
  }

  /** Loads a model of files in memory: their bytes by their paths. `name` is for messages. */
  static async fromFiles(entries, { name = "model", ...options } = {}) {
    const settings = checked(options);
    const module = await initialize();
    const files = new module.Files();
    for (const [path, bytes] of Object.entries(entries)) {
      if (path.endsWith(".splade")) calling(() => files.addPacked(bytes));
      else files.add(path, bytes);
    }
    return SparseEncoder.#of(module, name, files, settings);
  }

  static #of(module, name, files, settings) {
    return new SparseEncoder(calling(() => module.Encoder.load(name, files, JSON.stringify(settings))), name);
  }

  /** The number of terms of the vocabulary: the dimension of the vectors. */
  get vocabularySize() {
    return this.#native.vocabulary();
  }

  /** Encodes documents: one text gives a vector, an array gives an array. */
  async encode(texts, options) {
    return this.#encode(false, texts, options);
  }

  /** Encodes queries. */
  async encodeQuery(texts, options) {
    return this.#encode(true, texts, options);
  }

  /** Encodes documents, as `encode` does. */
  async encodeDocument(texts, options) {
    return this.#encode(false, texts, options);
  }

  async #encode(query, texts, { progress, signal } = {}) {
    if (typeof texts === "string") return this.#some(query, [texts])[0];
    if (!Array.isArray(texts) || texts.some((text) => typeof text !== "string")) {
      throw new LightSpladeError("a text is not a string", "give a string or an array of strings");
    }
    const vectors = [];
    for (let at = 0; at < texts.length; at += AT_A_TIME) {
      signal?.throwIfAborted();
      vectors.push(...this.#some(query, texts.slice(at, at + AT_A_TIME)));
      progress?.({ done: vectors.length, total: texts.length });
      if (at + AT_A_TIME < texts.length) await pause();
    }
    return vectors;
  }

  #some(query, texts) {
    const encoded = calling(() => this.#native.encode(query, texts));
    const [ends, terms, weights] = [encoded.ends(), encoded.terms(), encoded.weights()];
    encoded.free();
    return Array.from(ends, (end, at) => {
      const start = at > 0 ? ends[at - 1] : 0;
      return new SparseVector(terms.slice(start, end), weights.slice(start, end));
    });
  }

  /** Encodes a text and tells which of its tokens gave each term its weight. */
  async explain(text, { side = "document" } = {}) {
    return JSON.parse(calling(() => this.#native.explain(isQuery(side), text)));
  }

  /** The tokens of a text as the model reads it, special tokens included. */
  tokenize(text, { side = "document" } = {}) {
    return calling(() => this.#native.tokenize(isQuery(side), text));
  }

  /** The tokens of a vector with their weights, the largest first. */
  decode(vector, topK = Infinity) {
    const pairs = vector.byWeight().slice(0, topK);
    const tokens = this.tokens(pairs.map(([index]) => index));
    return pairs.map(([index, weight], at) => ({ index, token: tokens[at], weight }));
  }

  /** The tokens of terms by their indices. */
  tokens(indices) {
    return calling(() => this.#native.tokens(Uint32Array.from(indices)));
  }

  /** The score of a document for a query: the dot product of their vectors. */
  similarity(query, document) {
    return query.dot(document);
  }

  /** What each common term gives to the score of a document for a query, the largest first. */
  intersection(query, document) {
    const shares = query.byWeight().map(([index, queryWeight]) => {
      const documentWeight = document.weight(index);
      return { index, queryWeight, documentWeight, score: Math.fround(queryWeight * documentWeight) };
    });
    const common = shares.filter((share) => share.score > 0).sort((a, b) => b.score - a.score || a.index - b.index);
    const tokens = this.tokens(common.map((share) => share.index));
    return common.map((share, at) => ({ ...share, token: tokens[at] }));
  }

  /** Throws if an index with these settings has vectors of another model. */
  checkIndex(settings) {
    calling(() => this.#native.checkIndex(JSON.stringify(settings)));
  }

  /** Frees the memory of the model. The encoder cannot be used afterwards. */
  dispose() {
    this.#inner?.free();
    this.#inner = undefined;
  }

  get #native() {
    if (!this.#inner) throw new LightSpladeError("the encoder was disposed of", "load it again");
    return this.#inner;
  }
}

function checked(options) {
  const settings = {};
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || LOADING.includes(key)) continue;
    const check = SETTINGS[key];
    if (!check) {
      const hint = `the options are ${[...Object.keys(SETTINGS), ...LOADING].join(", ")}`;
      throw new LightSpladeError(`there is no option ${JSON.stringify(key)}`, hint);
    }
    const good = check(value);
    if (good !== true) throw new LightSpladeError(`the option ${key} ${good}`);
    settings[key] = value;
  }
  return settings;
}

function isQuery(side) {
  if (side !== "query" && side !== "document") {
    throw new LightSpladeError("the option side is neither \"query\" nor \"document\"");
  }
  return side === "query";
}

/** Lets the page or the server do other things. */
const pause = () =>
  globalThis.scheduler?.yield?.() ?? new Promise((resolve) => (globalThis.setImmediate ?? setTimeout)(resolve));
