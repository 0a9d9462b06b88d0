// The types describe the package: this file compiles, and the lines marked so do not.

import { LightSpladeError, SparseEncoder, SparseEncoderPool, SparseIndex, SparseVector, type Explanation, type Hit, type Term } from "../js/index.js";

export async function uses(): Promise<void> {
  const encoder = await SparseEncoder.load("mini-ja-en", { precision: "int8", progress: ({ file, loaded, total }) => console.log(file, loaded, total ?? 0) });
  const one: SparseVector = await encoder.encode("東京");
  const many: SparseVector[] = await encoder.encodeQuery(["東京", "大阪"]);
  const explanation: Explanation = await encoder.explain("東京", { side: "query" });
  const pool = await SparseEncoderPool.load("mini-ja-en", { workers: 2 });
  const pooled: SparseVector[] = await pool.encode(["東京"]);
  console.log(pooled.length);
  const terms: Term[] = encoder.decode(one, 5);
  const index = await SparseIndex.open(new URL("https://example.com/index/"), { encoder });
  const hits: Hit[] = await index.search("東京", { k: 3 });
  const text: string | undefined = index.document(hits[0].id)?.text;
  const error = new LightSpladeError("message", "hint");
  console.log(many[0].dot(one), explanation.tokens, terms, text, error.hint);
  // @ts-expect-error: there is no such precision.
  await SparseEncoder.load("mini-ja-en", { precision: "f16" });
  // @ts-expect-error: a text is a string.
  await encoder.encode(1);
  // @ts-expect-error: encoders are made by load.
  new SparseEncoder();
}
