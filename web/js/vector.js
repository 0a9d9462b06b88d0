// Sparse vectors.

import { LightSpladeError } from "./error.js";

/** A sparse vector: the indices of its terms in ascending order, and a weight above zero for each. */
export class SparseVector {
  constructor(indices, values) {
    if (indices.length !== values.length) {
      throw new LightSpladeError(`${indices.length} indices have ${values.length} values`, "give one value for each index");
    }
    this.indices = indices instanceof Uint32Array ? indices : Uint32Array.from(indices);
    this.values = values instanceof Float32Array ? values : Float32Array.from(values);
    if (this.indices.some((index, at) => at > 0 && index <= this.indices[at - 1])) {
      throw new LightSpladeError("the indices of a sparse vector do not ascend", "sort the pairs by index, each index once");
    }
  }

  /** The number of terms. */
  get length() {
    return this.indices.length;
  }

  /** The weight of a term; 0 if the vector does not have it. */
  weight(index) {
    let [low, high] = [0, this.indices.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.indices[middle] < index) low = middle + 1;
      else high = middle;
    }
    return this.indices[low] === index ? this.values[low] : 0;
  }

  /** The dot product: the sum over the common terms in ascending order, in 64 bits, rounded once to 32. */
  dot(other) {
    let [i, j, sum] = [0, 0, 0];
    while (i < this.indices.length && j < other.indices.length) {
      const difference = this.indices[i] - other.indices[j];
      if (difference === 0) sum += this.values[i] * other.values[j];
      if (difference <= 0) i += 1;
      if (difference >= 0) j += 1;
    }
    return Math.fround(sum);
  }

  /** The terms in descending order of weight, as pairs of index and weight. */
  byWeight() {
    const pairs = Array.from(this.indices, (index, at) => [index, this.values[at]]);
    return pairs.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  }

  /** `{indices, values}` as plain arrays, the form that Qdrant, Pinecone and Milvus take. */
  toJSON() {
    return { indices: Array.from(this.indices), values: Array.from(this.values) };
  }
}
