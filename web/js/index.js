// The public interface of @light-splade/web. The types are in index.d.ts.

export { SparseEncoder } from "./encoder.js";
export { LightSpladeError } from "./error.js";
export { clearCache } from "./files.js";
export { SparseEncoderPool } from "./pool.js";
export { SparseIndex } from "./sparse-index.js";
export { SparseVector } from "./vector.js";
export { initialize } from "./wasm.js";
