// Where the files of a model are: the built-in one, a packed model, a folder of Hugging Face's form, or a name at the hub.

import { LightSpladeError } from "./error.js";
import { load } from "./files.js";
import { BUILT_IN } from "../models/built-in.js";

const HUB = "https://huggingface.co/";
/** The files of a folder that say what the model is. `modules.json` names folders with more of them. */
const SETTINGS = ["config.json", "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "router_config.json"];
const TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"];
const WEIGHTS = ["model.safetensors", "idf.json"];
/** The ending of a packed model. */
const PACKED = ".splade";

/** Adds the files of a model to `files`. Returns its name. */
export async function addModel(files, model, options) {
  const known = typeof model === "string" ? BUILT_IN[model] : undefined;
  if (known) {
    const load = (file) => loaded(new URL(`../models/${file.name}`, import.meta.url), { ...options, version: file.version, size: file.size });
    const [packed, dictionary] = await Promise.all([load(known.model), load(known.dictionary)]);
    files.addPacked(packed);
    files.add(known.dictionary.name, dictionary);
    return model;
  }
  const url = urlOf(model);
  if (url.pathname.endsWith(PACKED)) files.addPacked(await loaded(url, options));
  else await addFolder(files, url, options);
  if (options.dictionary) files.add("unidic_lite.mecab", await dictionary(options));
  return url.href;
}

/** Adds the dictionary of Japanese models alone: of a URL, or the one of this package. */
export async function dictionary(options) {
  const file = BUILT_IN["mini-ja-en"].dictionary;
  if (options.dictionary !== true) return loaded(urlOf(options.dictionary), options);
  return loaded(new URL(`../models/${file.name}`, import.meta.url), { ...options, version: file.version, size: file.size });
}

const loaded = (url, options) => load(url, options);

/** The URL of a model: absolute, relative to the page, a path of the disk in Node, or a name at the hub. */
export function urlOf(model) {
  if (model instanceof URL) return model;
  if (typeof model !== "string") {
    throw new LightSpladeError("a model is named by a URL", "give the URL of a packed model or of a folder, or \"mini-ja-en\"");
  }
  if (/^[a-z][a-z0-9+.-]+:/i.test(model)) return new URL(model);
  if (/^[\w.-]+\/[\w.-]+(@[\w.-]+)?$/.test(model) && !model.startsWith(".") && !model.endsWith(PACKED)) {
    const [name, revision = "main"] = model.split("@");
    return new URL(`${name}/resolve/${revision}/`, HUB);
  }
  if (typeof document !== "undefined") return new URL(model, document.baseURI);
  if (typeof location !== "undefined") return new URL(model, location.href);
  throw new LightSpladeError(`${model} is not a URL`, "give a whole URL, such as one of pathToFileURL in Node.js");
}

/** Adds what a folder has of the files of a model. */
async function addFolder(files, folder, options) {
  const base = new URL(folder);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const all = new Map();
  const add = async (paths) => {
    const wanted = paths.filter((path) => !all.has(path));
    const bytes = await Promise.all(wanted.map((path) => loaded(new URL(path, base), { ...options, optional: true })));
    wanted.forEach((path, at) => all.set(path, bytes[at]));
  };
  await add([...SETTINGS, ...TOKENIZER]);
  const json = (path) => {
    try {
      return all.get(path) && JSON.parse(new TextDecoder().decode(all.get(path)));
    } catch {
      // The module that reads the file says what is wrong with it.
      return undefined;
    }
  };
  if (!SETTINGS.some((path) => all.get(path))) {
    const hint = "give the folder of a model, with its config.json, or a packed model";
    throw new LightSpladeError(`${base.href} has no config.json`, hint);
  }
  const modules = [json("modules.json")].flat().filter(Boolean);
  const parts = modules.map((module) => module.path).filter(Boolean);
  const routes = Object.values(json("router_config.json")?.structure ?? {}).flat();
  for (const part of parts) {
    const router = `${part}/router_config.json`;
    await add([router]);
    routes.push(...Object.values(json(router)?.structure ?? {}).flat().map((route) => `${part}/${route}`));
  }
  const folders = ["", ...[...parts, ...routes].map((path) => `${path}/`)];
  await add(folders.slice(1).flatMap((part) => [...SETTINGS, ...TOKENIZER].map((file) => part + file)));
  const weights = folders.flatMap((part) => WEIGHTS.map((file) => part + file));
  await add(weights);
  // Files of other names, such as the table that a config names or parts of large weights.
  const named = folders.flatMap((part) => {
    const name = json(`${part}config.json`)?.path;
    return typeof name === "string" ? [part + name] : [];
  });
  await add(named);
  for (const [path, bytes] of all) if (bytes) files.add(path, bytes);
}
