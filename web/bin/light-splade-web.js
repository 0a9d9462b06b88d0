#!/usr/bin/env node
// `npx light-splade-web pack FOLDER FILE`: packs a model for the web, with weights of eight bits in one file.

import { access, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { initialize } from "../js/index.js";

const USAGE = `usage: light-splade-web pack FOLDER FILE.splade [--force]
       light-splade-web pack-dictionary FILE.mecab FILE.mecab [--force]

pack             writes the model of a folder (weights in float16) as one file with weights of eight bits
pack-dictionary  writes a packed MeCab dictionary in a smaller form`;

/** What an encoder needs of a folder. */
const FILES = [
  "1_SpladePooling/config.json", "added_tokens.json", "config.json", "config_sentence_transformers.json", "model.safetensors", "modules.json",
  "sentence_bert_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
];

async function main(args) {
  const force = args.includes("--force");
  const [command, from, to] = args.filter((argument) => argument !== "--force");
  if (!to || !["pack", "pack-dictionary"].includes(command)) {
    console.error(USAGE);
    return 2;
  }
  if (!force && (await access(to).then(() => true, () => false))) {
    console.error(`error: ${to} exists already\nhint: add --force to replace it`);
    return 1;
  }
  const module = await initialize();
  let packed;
  if (command === "pack") {
    const files = new module.Files();
    for (const name of FILES) {
      const bytes = await readFile(join(from, name)).catch((error) => {
        if (error.code !== "ENOENT") throw error;
      });
      if (bytes) files.add(name, bytes);
    }
    packed = module.pack(files);
  } else packed = module.packDictionary(await readFile(from));
  const aside = `${to}.${process.pid}.tmp`;
  await writeFile(aside, packed);
  await rename(aside, to);
  console.log(`${to}: ${packed.length} bytes`);
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => {
    console.error(`error: ${error.message}${error.hint ? `\nhint: ${error.hint}` : ""}`);
    process.exitCode = 1;
  },
);
