// Search in an index that `light-splade index build` made: loaded as a whole, or read in parts by HTTP.

import { LightSpladeError, calling } from "./error.js";
import { load } from "./files.js";
import { urlOf } from "./models.js";
import { SparseVector } from "./vector.js";
import { initialize } from "./wasm.js";

/** The bytes at the end of a file that are read first: the table of some 600 ranges of documents. */
const END = 1 << 14;
/** Parts with fewer bytes between them are read together: a request costs more than these bytes. */
const GAP = 1 << 13;

/** An index for search. */
export class SparseIndex {
  #inner;
  #encoder;
  #fetchParts;

  /** @private Use `load` or `open`. */
  constructor(inner, encoder, fetchParts) {
    this.#inner = inner;
    this.#encoder = encoder;
    this.#fetchParts = fetchParts;
    /** The settings that the index was made with. */
    this.settings = JSON.parse(inner.settings());
    /** The number of documents. */
    this.size = inner.documents();
    encoder?.checkIndex(this.settings);
  }

  /** Loads the whole index of a folder into memory. */
  static async load(folder, { encoder, ...options } = {}) {
    const module = await initialize();
    const base = folderOf(folder);
    const head = await load(new URL("index.json", base), options);
    const files = new module.Files();
    const names = filesOf(head, base);
    const bytes = await Promise.all(names.map((name) => load(new URL(name, base), options)));
    files.add("index.json", head);
    names.forEach((name, at) => files.add(name, bytes[at]));
    return new SparseIndex(calling(() => module.Index.load(base.href, files)), encoder);
  }

  /** Opens the index of a folder, of which searches read the parts that they need, by HTTP range requests. */
  static async open(folder, { encoder, headers, signal } = {}) {
    const module = await initialize();
    const base = folderOf(folder);
    const options = { headers, signal, cache: false };
    const head = new TextDecoder().decode(await load(new URL("index.json", base), options));
    const parts = calling(() => new module.Parts(base.href, head));
    const names = parts.wholeFiles();
    const bytes = await Promise.all(names.map((name) => load(new URL(name, base), options)));
    names.forEach((name, at) => parts.addWhole(name, bytes[at]));
    await Promise.all(
      parts.segments().map(async (name) => {
        const { size, bytes } = await readEnd(new URL(name, base), options);
        calling(() => parts.addEnd(name, size, bytes));
      }),
    );
    const read = async (missing) => {
      const joined = join(missing);
      const bytes = await Promise.all(joined.map(({ file, start, end }) => readPart(new URL(file, base), start, end, options)));
      joined.forEach(({ file, start }, at) => calling(() => parts.add(file, start, bytes[at])));
    };
    for (;;) {
      const missing = JSON.parse(calling(() => parts.open()));
      if (missing.length === 0) break;
      await read(missing);
    }
    return new SparseIndex(parts, encoder, read);
  }

  /** The best documents for a query, which is a text or a vector. */
  async search(query, { k = 10, threshold } = {}) {
    if (!Number.isInteger(k) || k < 1) throw new LightSpladeError("the option k is not a whole number above 0");
    const { indices, values } = await this.#vector(query);
    for (;;) {
      const found = JSON.parse(calling(() => this.#inner.search(indices, values, k, threshold)));
      if (!this.#fetchParts) return found;
      if (found.hits) return found.hits;
      await this.#fetchParts(found.missing);
    }
  }

  /** What each term of a query gives to the score of a document, the largest first; `undefined` without the document. */
  async explain(query, id) {
    const { indices, values } = await this.#vector(query);
    const shares = calling(() => this.#whole("explain").explain(indices, values, id));
    if (shares === undefined) return undefined;
    const parsed = JSON.parse(shares);
    const tokens = this.#encoder?.tokens(parsed.map((share) => share.index));
    return parsed.map((share, at) => ({ ...share, token: tokens?.[at] }));
  }

  /** The vector of a document with the weights that the index has; `undefined` without the document. */
  vector(id) {
    const vector = this.#whole("vector").vector(id);
    if (!vector) return undefined;
    const [terms, weights] = [vector.terms(), vector.weights()];
    vector.free();
    return new SparseVector(terms, weights);
  }

  /** The title and the text of a document, if the index was built with `--store`. */
  document(id) {
    const document = calling(() => this.#whole("document").document(id));
    return document === undefined ? undefined : JSON.parse(document);
  }

  /** Frees the memory of the index. It cannot be used afterwards. */
  dispose() {
    this.#inner.free();
  }

  #whole(name) {
    if (this.#fetchParts) {
      throw new LightSpladeError(`${name} needs the whole index in memory`, "open it with SparseIndex.load");
    }
    return this.#inner;
  }

  async #vector(query) {
    if (typeof query !== "string") return query;
    if (!this.#encoder) {
      throw new LightSpladeError("the index has no encoder for the text of a query", "give the option encoder, or a vector");
    }
    return this.#encoder.encodeQuery(query);
  }
}

function folderOf(folder) {
  const base = new URL(urlOf(folder));
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}

/** The names of the files that an index consists of. */
function filesOf(head, base) {
  let parsed;
  try {
    parsed = JSON.parse(new TextDecoder().decode(head));
  } catch (error) {
    const hint = "give the folder that light-splade index build made";
    throw new LightSpladeError(`${base.href}index.json is not JSON: ${error.message}`, hint);
  }
  return (parsed.segments ?? []).flatMap(({ file, stored, bm25, deleted }) => [file, stored, bm25, deleted?.file].filter(Boolean));
}

/** Joins parts of the same file with small gaps between them. */
function join(missing) {
  const sorted = [...missing].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.start - b.start));
  const joined = [];
  for (const part of sorted) {
    const last = joined.at(-1);
    if (last && last.file === part.file && part.start <= last.end + GAP) last.end = Math.max(last.end, part.end);
    else joined.push({ ...part });
  }
  return joined;
}

/** Reads the end of a file, and learns how long it is. */
async function readEnd(url, options) {
  if (url.protocol === "file:") {
    const { open } = await import("node:fs/promises");
    const file = await open(url);
    const { size } = await file.stat();
    await file.close();
    const start = Math.max(0, size - END);
    return { size, bytes: await readPart(url, start, size, options) };
  }
  const response = await ranged(url, `bytes=-${END}`, options);
  const bytes = new Uint8Array(await response.arrayBuffer());
  // A server without ranges sends everything; a file that is shorter than the range may come as a whole, too.
  if (response.status === 200) return { size: bytes.length, bytes };
  const size = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1]);
  if (!size) {
    const hint = "let the server allow pages to read the header Content-Range (Access-Control-Expose-Headers)";
    throw new LightSpladeError(`${url.href}: the server does not tell how long the file is`, hint);
  }
  return { size, bytes };
}

async function readPart(url, start, end, options) {
  if (url.protocol === "file:") {
    const { open } = await import("node:fs/promises");
    const file = await open(url);
    const bytes = new Uint8Array(end - start);
    await file.read(bytes, 0, bytes.length, start);
    await file.close();
    return bytes;
  }
  const response = await ranged(url, `bytes=${start}-${end - 1}`, options);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return response.status === 200 ? bytes.subarray(start, end) : bytes;
}

async function ranged(url, range, { headers, signal }) {
  let response;
  try {
    response = await fetch(url, { signal, headers: { ...headers, range } });
  } catch (error) {
    if (signal?.aborted) throw error;
    const hint = "check the network, and that the server allows this page to read it (CORS)";
    throw new LightSpladeError(`${url.href} cannot be read: ${error.message}`, hint, { cause: error });
  }
  if (!response.ok) throw new LightSpladeError(`${url.href} cannot be read: the server answered ${response.status}`);
  return response;
}
