// Loads files by their URLs: from the cache of the page (Cache API), from the network with progress, or from the disk.

import { LightSpladeError } from "./error.js";

const CACHE = "light-splade";

/** The Cache API, where there is one: pages and workers over HTTPS or on localhost have it. */
async function openCache(wanted) {
  if (wanted === false || typeof caches === "undefined") return undefined;
  try {
    return await caches.open(CACHE);
  } catch {
    // Private windows of some browsers refuse. Everything works without a cache.
    return undefined;
  }
}

/** Removes all files that were cached. */
export async function clearCache() {
  if (typeof caches !== "undefined") await caches.delete(CACHE);
}

/**
 * Returns the bytes of a file; `undefined` if it is `optional` and the server has none.
 *
 * A file with a `version` is the same forever, so it is read from the cache if it is there. Of others, the server is
 * asked whether they have changed.
 */
export async function load(url, { optional = false, version, size, cache: wanted, progress, signal, headers } = {}) {
  const name = url.pathname.split("/").pop();
  if (url.protocol === "file:") return fromDisk(url, name, optional, progress);
  const cache = await openCache(wanted);
  const key = new URL(url);
  key.hash = "";
  if (version) key.searchParams.set("light-splade", version);
  const cached = await cache?.match(key.href);
  if (cached && version) return bytesOf(cached, name, size, progress, true);
  const asked = new Headers(headers);
  // If-None-Match makes a request of another origin one that needs permission beforehand; there, the cache of the
  // browser, which asks by itself, has to do.
  const same = typeof location !== "undefined" && location.origin === url.origin;
  const tag = same ? cached?.headers.get("etag") : undefined;
  if (tag) asked.set("if-none-match", tag);
  let response;
  try {
    response = await fetch(url, { signal, headers: asked });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (cached) return bytesOf(cached, name, size, progress, true);
    const hint = "check the address, the network, and that the server allows this page to read it (CORS)";
    throw new LightSpladeError(`${url.href} cannot be loaded: ${error.message}`, hint, { cause: error });
  }
  if (response.status === 304 && cached) return bytesOf(cached, name, size, progress, true);
  if (response.status === 404 && optional) return undefined;
  if (!response.ok) {
    const hint = response.status === 404 ? "check the address: it is that of a folder with the files of a model, or of a packed model" : undefined;
    throw new LightSpladeError(`${url.href} cannot be loaded: the server answered ${response.status}`, hint);
  }
  // A page with an error of a server that answers everything with its start page is no file of a model.
  if (optional && /\btext\/html\b/.test(response.headers.get("content-type") ?? "")) return undefined;
  const bytes = await bytesOf(response, name, size, progress, false);
  if (cache) {
    const stored = new Headers({ "content-length": String(bytes.length) });
    if (response.headers.get("etag")) stored.set("etag", response.headers.get("etag"));
    // Where there is no space left, the file is loaded again next time.
    await cache.put(key.href, new Response(bytes, { headers: stored })).catch(() => {});
  }
  return bytes;
}

async function fromDisk(url, name, optional, progress) {
  const { readFile } = await import("node:fs/promises");
  try {
    const bytes = new Uint8Array(await readFile(url));
    progress?.({ file: name, loaded: bytes.length, total: bytes.length, cached: true });
    return bytes;
  } catch (error) {
    if (optional && ["ENOENT", "ENOTDIR"].includes(error.code)) return undefined;
    throw new LightSpladeError(`${url.href} cannot be read: ${error.message}`, "check the path", { cause: error });
  }
}

/** Reads a response, and tells how far it is. */
async function bytesOf(response, name, size, progress, cached) {
  const encoded = response.headers.get("content-encoding");
  const length = Number(response.headers.get("content-length"));
  // The length of a compressed response is that of the compressed bytes.
  const total = size ?? (length > 0 && !encoded ? length : undefined);
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  let bytes = new Uint8Array(total ?? 1 << 16);
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (loaded + value.length > bytes.length) {
      const larger = new Uint8Array(Math.max(2 * bytes.length, loaded + value.length));
      larger.set(bytes.subarray(0, loaded));
      bytes = larger;
    }
    bytes.set(value, loaded);
    loaded += value.length;
    progress?.({ file: name, loaded, total, cached });
  }
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}
