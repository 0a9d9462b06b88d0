// Several encoders in workers: the threads of this package. Each worker has a module and a model of its own, because the
// stable Rust toolchain has no standard library for WebAssembly with shared memory.

import { LightSpladeError } from "./error.js";
import { SparseVector } from "./vector.js";

/** Texts that a worker gets at a time. */
const AT_A_TIME = 8;

/** Encoders in workers, which share the texts of a call. */
export class SparseEncoderPool {
  #workers;
  #next = 0;

  /** @private Use `load`. */
  constructor(workers) {
    this.#workers = workers;
  }

  /** Starts workers, each with an encoder that `SparseEncoder.load(model, options)` loads there. */
  static async load(model = "mini-ja-en", { workers = cores(), progress, signal, ...options } = {}) {
    if (!Number.isInteger(workers) || workers < 1) throw new LightSpladeError("the option workers is not a whole number above 0");
    signal?.throwIfAborted();
    const started = await Promise.all(Array.from({ length: workers }, start));
    const pool = new SparseEncoderPool(started);
    const stop = () => pool.dispose();
    signal?.addEventListener("abort", stop);
    try {
      const name = model instanceof URL ? model.href : resolved(model);
      // The first worker fills the cache for the others.
      await started[0].ask("load", [name, plain(options)], progress);
      await Promise.all(started.slice(1).map((worker) => worker.ask("load", [name, plain(options)])));
    } catch (error) {
      pool.dispose();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    return pool;
  }

  /** The number of workers. */
  get size() {
    return this.#workers.length;
  }

  /** Encodes documents: one text gives a vector, an array gives an array. */
  encode(texts, options) {
    return this.#encode("encodeDocument", texts, options);
  }

  /** Encodes queries. */
  encodeQuery(texts, options) {
    return this.#encode("encodeQuery", texts, options);
  }

  /** Encodes documents, as `encode` does. */
  encodeDocument(texts, options) {
    return this.#encode("encodeDocument", texts, options);
  }

  async #encode(method, texts, { progress, signal } = {}) {
    if (this.#workers.length === 0) throw new LightSpladeError("the encoders were disposed of", "load them again");
    if (typeof texts === "string") return (await this.#encode(method, [texts], { signal }))[0];
    if (!Array.isArray(texts) || texts.some((text) => typeof text !== "string")) {
      throw new LightSpladeError("a text is not a string", "give a string or an array of strings");
    }
    const vectors = new Array(texts.length);
    let [at, done] = [0, 0];
    // Whichever worker is free takes the next texts. Calls begin with different workers.
    const first = this.#next++;
    const work = async (worker) => {
      while (at < texts.length) {
        signal?.throwIfAborted();
        const start = at;
        const some = texts.slice(start, (at += AT_A_TIME));
        const { ends, indices, values } = await worker.ask(method, [some]);
        ends.forEach((end, text) => {
          const begin = text > 0 ? ends[text - 1] : 0;
          vectors[start + text] = new SparseVector(indices.slice(begin, end), values.slice(begin, end));
        });
        done += some.length;
        progress?.({ done, total: texts.length });
      }
    };
    await Promise.all(this.#workers.map((_, turn) => work(this.#workers[(first + turn) % this.#workers.length])));
    return vectors;
  }

  /** Ends the workers. */
  dispose() {
    this.#workers.forEach((worker) => worker.end());
    this.#workers = [];
  }
}

const cores = () => Math.max(1, Math.min(4, (globalThis.navigator?.hardwareConcurrency ?? 2) - 1));

/** Options that can be sent to a worker. */
const plain = (options) => Object.fromEntries(Object.entries(options).map(([key, value]) => [key, value instanceof URL ? value.href : value]));

/** Relative addresses mean those of the page, not of the worker's file. */
function resolved(model) {
  const base = typeof document === "undefined" ? undefined : document.baseURI;
  return base && /^(\.{0,2}\/|[^:]*\.splade$)/.test(model) ? new URL(model, base).href : model;
}

/** Starts a worker of the web or of Node.js. */
async function start() {
  const url = new URL("./worker.js", import.meta.url);
  const asked = new Map();
  let last = 0;
  const receive = ({ id, progress, result, error }) => {
    const question = asked.get(id);
    if (progress) return question?.progress?.(progress);
    asked.delete(id);
    if (error) question?.reject(new LightSpladeError(error.message, error.hint));
    else question?.resolve(result);
  };
  const fail = (error) => {
    const hint = "see the console for the reason";
    asked.forEach(({ reject }) => reject(new LightSpladeError(`a worker stopped: ${error.message ?? error}`, hint)));
    asked.clear();
  };
  let worker;
  if (typeof Worker === "undefined") {
    const threads = await import("node:worker_threads");
    worker = new threads.Worker(url);
    worker.on("message", receive).on("error", fail);
    // A pool that is forgotten does not keep the program alive.
    worker.unref();
  } else {
    worker = new Worker(url, { type: "module" });
    worker.onmessage = ({ data }) => receive(data);
    worker.onerror = fail;
  }
  return {
    ask: (name, values, progress) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        if (asked.size === 0) worker.ref?.();
        const settled = (settle) => (value) => {
          asked.delete(id);
          if (asked.size === 0) worker.unref?.();
          settle(value);
        };
        asked.set(id, { resolve: settled(resolve), reject: settled(reject), progress });
        worker.postMessage({ id, name, values });
      }),
    end: () => {
      fail("it was ended");
      worker.terminate();
    },
  };
}
