// What the tests share. The paths of the package and of the native results come from the environment.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export const root = new URL("../../", import.meta.url);
export const packageFolder = process.env.PACKAGE;
export const expected = (name) => join(process.env.EXPECTED, name);
export const packageModule = (path = "js/index.js") => import(pathToFileURL(join(packageFolder, path)).href);
export const lines = (path) => readFileSync(path, "utf8").split("\n").filter(Boolean);
export const texts = lines(new URL("texts.txt", import.meta.url));

/** The vectors that the native program made of the texts, as pairs of index and weight. */
export async function vectors(name) {
  const { SparseIndex } = await packageModule();
  const index = await SparseIndex.load(pathToFileURL(`${expected(name)}/`));
  return texts.map((_, at) => pairs(index.vector(String(at))));
}

export const pairs = (vector) => Array.from(vector.indices, (index, at) => [index, vector.values[at]]);
