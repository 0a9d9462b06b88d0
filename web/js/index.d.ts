/** Where a file is while it is loaded. `total` is unknown where the server does not tell it. */
export interface LoadProgress {
  file: string;
  loaded: number;
  total?: number;
  /** Whether the file comes from the cache or the disk. */
  cached: boolean;
}

export interface FileOptions {
  /** Whether to keep the files in the Cache API of the page; true by default. */
  cache?: boolean;
  /** Headers for all requests, such as an authorization. */
  headers?: Record<string, string>;
  /** Receives how far each file is. */
  progress?: (progress: LoadProgress) => void;
  /** Stops loading. */
  signal?: AbortSignal;
}

export interface EncoderOptions {
  /** The arithmetic: 8-bit integers by default. The built-in model and packed models have weights of 8 bits only. */
  precision?: "int8" | "f32";
  /** The longest text in tokens, special tokens included; by default the model's own limit. */
  maxLength?: number;
  /** The text that is put before every query; by default the model's own prompt. */
  queryPrompt?: string;
  /** The text that is put before every document; by default the model's own prompt. */
  documentPrompt?: string;
  /** Loads one side only, for models that have two. */
  side?: Side;
}

export interface LoadOptions extends EncoderOptions, FileOptions {
  /** The packed MeCab dictionary of a Japanese model: true for the one of this package, or its URL. */
  dictionary?: boolean | string | URL;
}

export interface EncodeOptions {
  /** Receives how many texts are encoded. */
  progress?: (progress: { done: number; total: number }) => void;
  /** Stops between texts. */
  signal?: AbortSignal;
}

export type Side = "query" | "document";

/** A term of a vector. */
export interface Term {
  index: number;
  token: string;
  weight: number;
}

/** A term with the token of the text that gave it its weight. */
export interface ExplainedTerm extends Term {
  /** The place of the token in `Explanation.tokens`. */
  position: number;
}

export interface Explanation {
  /** The tokens of the text, special tokens included. */
  tokens: string[];
  /** The terms, the largest weight first. */
  terms: ExplainedTerm[];
}

/** What a term that a query and a document have in common gives to the score. */
export interface Share {
  index: number;
  queryWeight: number;
  documentWeight: number;
  score: number;
  /** The token of the term; missing where no encoder is known. */
  token?: string;
}

export interface Hit {
  id: string;
  score: number;
}

export interface SearchOptions {
  /** The largest number of hits; 10 by default. */
  k?: number;
  /** The smallest score of a hit. */
  threshold?: number;
}

/** A sparse vector: the indices of its terms in ascending order, and a weight above zero for each. */
export class SparseVector {
  constructor(indices: Uint32Array | number[], values: Float32Array | number[]);
  readonly indices: Uint32Array;
  readonly values: Float32Array;
  readonly length: number;
  /** The weight of a term; 0 if the vector does not have it. */
  weight(index: number): number;
  /** The dot product. */
  dot(other: SparseVector): number;
  /** The terms in descending order of weight, as pairs of index and weight. */
  byWeight(): [index: number, weight: number][];
  /** Plain arrays, the form that Qdrant, Pinecone and Milvus take. */
  toJSON(): { indices: number[]; values: number[] };
}

/** A SPLADE model: texts in, sparse vectors over its vocabulary out. */
export class SparseEncoder {
  private constructor();
  /**
   * Loads a model: `"mini-ja-en"` (the built-in one, Japanese and English), the URL of a packed model (`.splade`) or
   * of a folder in the form of Hugging Face, or the name of a model at the Hugging Face hub, `org/name`.
   */
  static load(model?: "mini-ja-en" | string | URL, options?: LoadOptions): Promise<SparseEncoder>;
  /** Loads a model of files in memory: their bytes by their paths in the folder. */
  static fromFiles(files: Record<string, Uint8Array>, options?: EncoderOptions & { name?: string }): Promise<SparseEncoder>;
  /** The name or the address of the model. */
  readonly name: string;
  /** The number of terms of the vocabulary: the dimension of the vectors. */
  readonly vocabularySize: number;
  /** Encodes documents. */
  encode(text: string, options?: EncodeOptions): Promise<SparseVector>;
  encode(texts: string[], options?: EncodeOptions): Promise<SparseVector[]>;
  /** Encodes queries. */
  encodeQuery(text: string, options?: EncodeOptions): Promise<SparseVector>;
  encodeQuery(texts: string[], options?: EncodeOptions): Promise<SparseVector[]>;
  /** Encodes documents, as `encode` does. */
  encodeDocument(text: string, options?: EncodeOptions): Promise<SparseVector>;
  encodeDocument(texts: string[], options?: EncodeOptions): Promise<SparseVector[]>;
  /** Encodes a text and tells which of its tokens gave each term its weight. */
  explain(text: string, options?: { side?: Side }): Promise<Explanation>;
  /** The tokens of a text as the model reads it, special tokens included. */
  tokenize(text: string, options?: { side?: Side }): string[];
  /** The tokens of a vector with their weights, the largest first. */
  decode(vector: SparseVector, topK?: number): Term[];
  /** The tokens of terms by their indices. */
  tokens(indices: Iterable<number>): string[];
  /** The score of a document for a query: the dot product of their vectors. */
  similarity(query: SparseVector, document: SparseVector): number;
  /** What each common term gives to the score of a document for a query, the largest first. */
  intersection(query: SparseVector, document: SparseVector): Required<Share>[];
  /** Throws if an index with these settings has vectors of another model. */
  checkIndex(settings: unknown): void;
  /** Frees the memory of the model. The encoder cannot be used afterwards. */
  dispose(): void;
}

/**
 * Encoders in workers, which share the texts of a call: as many cores at once. Each has a model of its own in memory.
 * The page needs no headers for it, and its thread stays free.
 */
export class SparseEncoderPool {
  private constructor();
  /** Starts workers, as many as there are cores but one (four at most) if the number is not given. */
  static load(model?: "mini-ja-en" | string | URL, options?: LoadOptions & { workers?: number }): Promise<SparseEncoderPool>;
  /** The number of workers. */
  readonly size: number;
  /** Encodes documents. */
  encode(text: string, options?: EncodeOptions): Promise<SparseVector>;
  encode(texts: string[], options?: EncodeOptions): Promise<SparseVector[]>;
  /** Encodes queries. */
  encodeQuery(text: string, options?: EncodeOptions): Promise<SparseVector>;
  encodeQuery(texts: string[], options?: EncodeOptions): Promise<SparseVector[]>;
  /** Encodes documents, as `encode` does. */
  encodeDocument(text: string, options?: EncodeOptions): Promise<SparseVector>;
  encodeDocument(texts: string[], options?: EncodeOptions): Promise<SparseVector[]>;
  /** Ends the workers. */
  dispose(): void;
}

/** An index that `light-splade index build` made, for search. It is never changed. */
export class SparseIndex {
  private constructor();
  /** Loads the whole index of a folder into memory. */
  static load(folder: string | URL, options?: FileOptions & { encoder?: SparseEncoder }): Promise<SparseIndex>;
  /** Opens the index of a folder, of which each search reads the parts that it needs, by HTTP range requests. */
  static open(
    folder: string | URL,
    options?: Pick<FileOptions, "headers" | "signal"> & { encoder?: SparseEncoder },
  ): Promise<SparseIndex>;
  /** The number of documents. */
  readonly size: number;
  /** The settings that the index was made with, such as the name of its model. */
  readonly settings: Record<string, unknown>;
  /** The best documents for a query, which is a text (with an encoder) or a vector. */
  search(query: string | SparseVector, options?: SearchOptions): Promise<Hit[]>;
  /** What each term gives to the score of a document, the largest first. Needs the index in memory. */
  explain(query: string | SparseVector, id: string): Promise<Share[] | undefined>;
  /** The vector of a document with the weights that the index has. Needs the index in memory. */
  vector(id: string): SparseVector | undefined;
  /** The title and the text of a document, if the index stores them. Needs the index in memory. */
  document(id: string): { title: string; text: string } | undefined;
  /** Frees the memory of the index. It cannot be used afterwards. */
  dispose(): void;
}

/** An error with a hint: what to do about it. */
export class LightSpladeError extends Error {
  constructor(message: string, hint?: string, options?: ErrorOptions);
  readonly hint?: string;
}

/**
 * Loads the WebAssembly module, once; everything else does so by itself. `module` is a compiled one, for hosts that
 * compile modules before they run. `relaxed` says whether it is the one with relaxed SIMD.
 */
export function initialize(options?: { module?: WebAssembly.Module; relaxed?: boolean }): Promise<unknown>;

/** Removes all files that were kept in the Cache API of the page. */
export function clearCache(): Promise<void>;
