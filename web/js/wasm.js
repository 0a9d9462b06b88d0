// Loads the WebAssembly module once: the one with relaxed SIMD where the engine has that, and else the other one.
// Both compute the same bits.

import { LightSpladeError } from "./error.js";

// The smallest module with an instruction of relaxed SIMD (f32x4.relaxed_madd) and one of SIMD (i32x4.splat).
const HEADER = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
const RELAXED = [...HEADER, 10, 19, 1, 17, 0, 65, 0, 253, 17, 65, 0, 253, 17, 65, 0, 253, 17, 253, 133, 2, 11];
const SIMD = [...HEADER, 10, 8, 1, 6, 0, 65, 0, 253, 17, 11];

const supports = (bytes) => WebAssembly.validate(new Uint8Array(bytes));

let loading;

/**
 * Loads the module, once. Call this only to choose where it comes from: `module` is a compiled `WebAssembly.Module`
 * (for hosts that compile modules before they run, such as Cloudflare Workers), and `relaxed` says whether it is the
 * one with relaxed SIMD.
 */
export function initialize(options = {}) {
  loading ??= start(options).catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function start({ module, relaxed = supports(RELAXED) }) {
  if (!supports(SIMD)) {
    const hint = "use a browser of 2023 or later, or Node.js 20 or later";
    throw new LightSpladeError("this JavaScript engine has no SIMD for WebAssembly", hint);
  }
  const glue = relaxed ? await import("../wasm/relaxed/splade_web.js") : await import("../wasm/simd/splade_web.js");
  const url = relaxed
    ? new URL("../wasm/relaxed/splade_web_bg.wasm", import.meta.url)
    : new URL("../wasm/simd/splade_web_bg.wasm", import.meta.url);
  if (!module && url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    module = await WebAssembly.compile(await readFile(url));
  }
  const exports = await glue.default({ module_or_path: module ?? url });
  return { ...glue, memory: exports.memory };
}
