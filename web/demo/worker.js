// The model and the index of the demo, in a thread of their own, so that the page answers while they load and compute.

import { SparseEncoder, SparseIndex } from "./package/js/index.js";

const here = (path) => new URL(path, import.meta.url);
let encoder;
let index;
let documents;

const work = {
  async load() {
    const loaded = new Map();
    const progress = ({ file, loaded: bytes, total }) => {
      loaded.set(file, { bytes, total: total ?? bytes });
      const sum = (key) => [...loaded.values()].reduce((all, file) => all + file[key], 0);
      postMessage({ progress: { loaded: sum("bytes"), total: sum("total") } });
    };
    encoder = await SparseEncoder.load("mini-ja-en", { progress });
    index = await SparseIndex.load(here("corpus/index"), { encoder });
    documents = new Map((await (await fetch(here("corpus/documents.json"))).json()).map((row) => [row.id, row]));
    return { vocabulary: encoder.vocabularySize, documents: index.size };
  },

  async expand(text) {
    const { tokens, terms } = await encoder.explain(text);
    return { tokens, terms };
  },

  async compare(query, document) {
    const [a, b] = [await encoder.encodeQuery(query), await encoder.encodeDocument(document)];
    const shares = encoder.intersection(a, b);
    const common = new Set(shares.map((share) => share.index));
    const only = (vector) => encoder.decode(vector).filter((term) => !common.has(term.index)).slice(0, 40).map((term) => term.token);
    return { score: encoder.similarity(a, b), shares, onlyQuery: only(a), onlyDocument: only(b) };
  },

  async search(text) {
    const start = performance.now();
    const query = await encoder.encodeQuery(text);
    const encoded = performance.now();
    const hits = await index.search(query, { k: 8 });
    const end = performance.now();
    const shown = [];
    for (const hit of hits) {
      const shares = await index.explain(query, hit.id);
      shown.push({ ...hit, ...documents.get(hit.id), shares: shares.slice(0, 6) });
    }
    return { hits: shown, milliseconds: { all: end - start, search: end - encoded } };
  },
};

addEventListener("message", async ({ data: { id, name, values } }) => {
  try {
    postMessage({ id, result: await work[name](...values) });
  } catch (error) {
    postMessage({ id, error: [error.message, error.hint].filter(Boolean).join(" – ") });
  }
});
