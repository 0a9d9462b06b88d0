// A worker of `SparseEncoderPool`, of the web or of Node.js.

import { SparseEncoder } from "./encoder.js";

let encoder;

const work = {
  async load(id, model, options) {
    const progress = (progress) => port.send({ id, progress });
    encoder = await SparseEncoder.load(model, { ...options, progress });
  },
  encodeQuery: (id, texts) => encode(encoder.encodeQuery(texts)),
  encodeDocument: (id, texts) => encode(encoder.encodeDocument(texts)),
};

/** Vectors as three arrays, which are moved to the receiver. */
async function encode(encoding) {
  const vectors = await encoding;
  let all = 0;
  const ends = Uint32Array.from(vectors, (vector) => (all += vector.length));
  const [indices, values] = [new Uint32Array(all), new Float32Array(all)];
  vectors.forEach((vector, at) => {
    const start = at > 0 ? ends[at - 1] : 0;
    indices.set(vector.indices, start);
    values.set(vector.values, start);
  });
  return { ends, indices, values };
}

async function receive({ id, name, values }) {
  try {
    const result = await work[name](id, ...values);
    port.send({ id, result }, result ? [result.ends.buffer, result.indices.buffer, result.values.buffer] : []);
  } catch (error) {
    port.send({ id, error: { message: error.message, hint: error.hint } });
  }
}

const port = await (async () => {
  if (typeof WorkerGlobalScope === "undefined") {
    const { parentPort } = await import("node:worker_threads");
    parentPort.on("message", receive);
    return { send: (message, moved) => parentPort.postMessage(message, moved) };
  }
  addEventListener("message", ({ data }) => receive(data));
  return { send: (message, moved) => postMessage(message, moved) };
})();
