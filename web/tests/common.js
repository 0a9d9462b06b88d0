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

/** The vectors of a file that `encode --terms ids` wrote, as pairs of index and weight. */
export function vectors(name) {
  return lines(expected(name)).map((line) => {
    const pairs = Object.entries(JSON.parse(line).vector).map(([index, weight]) => [Number(index), Math.fround(weight)]);
    return pairs.sort((a, b) => a[0] - b[0]);
  });
}

export const pairs = (vector) => Array.from(vector.indices, (index, at) => [index, vector.values[at]]);
