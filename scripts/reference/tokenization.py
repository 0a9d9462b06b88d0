"""Writes small tokenizer folders with the ids that transformers gives, and a MeCab dictionary of random words with the
words that MeCab finds with it.

    python scripts/reference/tokenization.py crates/splade-text/tests/fixtures

Every folder changes something on which the ids depend: the class, flags of the config, added tokens and the files that
name them, or truncation. This program makes all texts.
"""

import gzip
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import fugashi
from transformers import AutoTokenizer

from small_vocabularies import (
    TEXTS,
    WORDS,
    JAPANESE,
    write_byte_bpe,
    write_unigram,
    write_wordpiece,
)

MAX_TOKENS = 9
BERT = {
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "unk_token": "[UNK]",
}
ROBERTA = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "mask_token": "<mask>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
}
# The pieces of the random texts.
PIECES = (
    WORDS
    + JAPANESE
    + list(" .,!?-_'\"/#@0129aZé")
    + ["  ", "\t", "\n", "\r\n", "\u3000", "\u00a0", "\u200b", "\u00ad", "\ufeff", "\u2028"]
    + ["\x01", "\x1c", "\x7f", "\ufffd", "\ufffe", "\u0301", "\u3099", "\u0130", "Σ", "ẞ", "ﬁ"]
    + ["[SEP]", "[MASK]", "[CLS]", "[UNK]", "[SE", "<s>", "</s>", "<mask>", "[new]", "Extra", "extra"]
    + ["☕", "🚂", "👩‍🚀", "𠮷", "🇯🇵", "ﾊﾟﾝ", "㍿", "Ｔｒａｉｎ", "ヴ", "ー", "々", "〆", "高", "橋", "が"]
    + ["夜明け前", "の", "に", "は", "を", "雨", "列車", "。", "、", "「", "」", "TRAIN", "Rain", "##s"]
)


def texts(rng):
    rows = list(TEXTS)
    rows += ["", " ", "\u3000", "a" * 120, "夜" * 120, "train" * 25, " ".join(["rain"] * 40)]
    rows += ["a\u0300\u0301" * 30, "1" * 30 + "円", "[MASK]" * 3, "[MASK] [MASK]x[MASK]", "ΟΔΟΣ ΣΑΣ İI"]
    for _ in range(120):
        separator = rng.choice(["", "", " "])
        rows.append(separator.join(rng.choices(PIECES, k=rng.randint(1, 14))))
    return rows


def write(folder, name, value):
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def change(folder, name, **changes):
    """Sets keys of a JSON file. The value None removes a key."""
    value = json.loads((folder / name).read_text(encoding="utf-8"))
    for key, change in changes.items():
        if change is None:
            value.pop(key, None)
        else:
            value[key] = change
    write(folder, name, value)


def token(content, **flags):
    known = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"content": content, **known, "special": False, **flags}


def folders(out):
    """Makes every folder and yields it."""

    def new(name):
        folder = out / name
        folder.mkdir(parents=True)
        return folder

    folder = new("bert-uncased")
    write_wordpiece(folder, "BertTokenizer", 512)
    yield folder

    folder = new("bert-cased")
    write_wordpiece(folder, "BertTokenizer", 512, lower=False)
    change(folder, "tokenizer_config.json", tokenize_chinese_chars=False, strip_accents=True)
    yield folder

    # The tokenizer.json stores padding and truncation, and the config contradicts it in other places.
    folder = new("bert-json")
    fast = AutoTokenizer.from_pretrained(out / "bert-uncased")
    fast.backend_tokenizer.enable_padding(length=20)
    fast.backend_tokenizer.enable_truncation(4)
    fast.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    change(folder, "tokenizer_config.json", do_lower_case=False, truncation_side="left")
    yield folder

    # The config has added tokens that change or follow those of tokenizer.json.
    folder = new("bert-added")
    shutil.copy(out / "bert-json/tokenizer.json", folder)
    config = json.loads((out / "bert-json/tokenizer_config.json").read_text(encoding="utf-8"))
    size = len(fast)
    decoder = config["added_tokens_decoder"]
    decoder["4"] |= {"lstrip": True}
    decoder[str(size)] = token("[new]", special=True, normalized=False)
    decoder[str(size + 1)] = token("extra", rstrip=True)
    decoder[str(size + 2)] = token("cafe", single_word=True)
    config |= {"do_lower_case": True, "truncation_side": "right"}
    config["additional_special_tokens"] = ["[new]", "##s", "yen!"]
    write(folder, "tokenizer_config.json", config)
    yield folder

    # Older folders have added_tokens.json and special_tokens_map.json.
    folder = new("bert-legacy")
    shutil.copy(out / "bert-json/tokenizer.json", folder)
    write(folder, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    write(folder, "added_tokens.json", {"[new]": size, "extra": size + 1})
    map = BERT | {"additional_special_tokens": ["[new]", "train"]}
    map["mask_token"] = token("[MASK]", lstrip=True) | {"normalized": True}
    write(folder, "special_tokens_map.json", map)
    yield folder

    folder = new("roberta")
    write_byte_bpe(folder, ROBERTA, "RobertaTokenizer", 512, prefix_space=True, roberta=True)
    yield folder

    folder = new("bpe-prefix")
    write_byte_bpe(folder, BERT, "PreTrainedTokenizerFast", 512, prefix_space=False, roberta=False)
    change(folder, "tokenizer_config.json", add_prefix_space=True)
    yield folder

    folder = new("unigram")
    write_unigram(folder, ROBERTA, "XLMRobertaTokenizer", 512)
    yield folder

    folder = new("ja-wordpiece")
    write_wordpiece(folder, "BertJapaneseTokenizer", 512, japanese=True, lower=False)
    yield folder

    folder = new("ja-character")
    write_wordpiece(folder, "BertJapaneseTokenizer", 512, japanese=True, lower=False)
    change(folder, "tokenizer_config.json", subword_tokenizer_type="character", mecab_kwargs=None)
    yield folder

    folder = new("ja-lower")
    write_wordpiece(folder, "BertJapaneseTokenizer", 512, japanese=True)
    size = len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    kwargs = {"mecab_dic": "unidic_lite", "mecab_option": "", "normalize_text": False}
    decoder = {str(i): token(t, special=True, normalized=False) for i, t in enumerate(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])}
    decoder[str(size)] = token("Extra")
    decoder[str(size + 1)] = token("RAIN", normalized=False)
    decoder[str(size + 2)] = token("[new]", special=True, normalized=False)
    change(folder, "tokenizer_config.json", mecab_kwargs=kwargs, added_tokens_decoder=decoder,
           never_split=["TRAIN"], truncation_side="left")
    yield folder

    folder = new("ja-no-words")
    write_wordpiece(folder, "BertJapaneseTokenizer", 512, japanese=True, lower=False)
    change(folder, "tokenizer_config.json", do_word_tokenize=False, word_tokenizer_type="basic")
    yield folder

    folder = new("ja-whole-words")
    write_wordpiece(folder, "BertJapaneseTokenizer", 512, japanese=True, lower=False)
    change(folder, "tokenizer_config.json", do_subword_tokenize=False)
    yield folder


def expect(folder, rows):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # The limits that the folder stores are meant for training.
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    with open(folder / "expected.ndjson", "w", encoding="utf-8") as file:
        for text in rows:
            row = {
                "ids": tokenizer(text)["input_ids"],
                "plain": tokenizer(text, add_special_tokens=False)["input_ids"],
                "cut": tokenizer(text, truncation=True, max_length=MAX_TOKENS)["input_ids"],
            }
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


# The dictionary of random words.

ALPHABET = list("abAB01 -") + list("あいうアイー々雨列車高橋") + ["é", "Ω", "𠮷", "🚂", "\uffff", "𰀀"]
CLASSES = 7
CHAR_DEF = """\
DEFAULT 0 1 0
SPACE 0 1 0
ALPHA 1 1 0
NUMERIC 1 0 2
HIRAGANA 0 1 2
KATAKANA 1 1 3
KANJI 0 0 2
SYMBOL 1 0 1

0x0020 SPACE
0x000D..0x000A SPACE
0x0030..0x0039 NUMERIC
0x0041..0x005A ALPHA
0x0061..0x007A ALPHA
0x002D SYMBOL ALPHA
0x00E9 ALPHA
0x3041..0x309F HIRAGANA
0x30A1..0x30FF KATAKANA
0x30FC KATAKANA HIRAGANA
0x3005 KANJI SYMBOL
0x4E00..0x9FA5 KANJI
"""


def make_dictionary(folder, rng):
    """Compiles a dictionary with MeCab's own compiler. The costs are small, so that many paths have equal costs."""
    source = Path(tempfile.mkdtemp())
    (source / "dicrc").write_text(
        "cost-factor = 800\nbos-feature = BOS\neval-size = 1\nunk-eval-size = 1\n"
        "config-charset = utf-8\n"
    )
    (source / "char.def").write_text(CHAR_DEF.replace("0x000D..0x000A", "0x0009"), encoding="utf-8")
    matrix = [f"{CLASSES} {CLASSES}"]
    lines = [[rng.randint(-4, 4) * 50 for _ in range(CLASSES)] for _ in range(CLASSES - 2)]
    # Equal lines, which packing stores once.
    lines += [lines[1], lines[2]]
    for right in range(CLASSES):
        matrix += [f"{right} {left} {lines[right][left % (CLASSES - 1)]}" for left in range(CLASSES)]
    (source / "matrix.def").write_text("\n".join(matrix) + "\n")

    def entry(surface):
        left, right = rng.randrange(CLASSES), rng.randrange(CLASSES)
        return f"{surface},{left},{right},{rng.randint(-2, 8) * 50},f"

    surfaces = ["".join(rng.choices(ALPHABET, k=rng.randint(1, 5))) for _ in range(400)]
    surfaces = [s for s in surfaces if s.strip() == s and "\uffff" not in s]
    surfaces += rng.choices(surfaces, k=150)
    (source / "words.csv").write_text("\n".join(map(entry, surfaces)) + "\n", encoding="utf-8")
    names = [line.split()[0] for line in CHAR_DEF.splitlines() if line and line[0] != "0"]
    unknown = [entry(name) for name in names for _ in range(rng.randint(1, 3))]
    (source / "unk.def").write_text("\n".join(unknown) + "\n", encoding="utf-8")
    (source / "feature.def").write_text("UNIGRAM U:%F[0]\n")
    (source / "rewrite.def").write_text("[unigram rewrite]\n*\t$1\n[left rewrite]\n*\t$1\n"
                                        "[right rewrite]\n*\t$1\n")
    compiled = Path(tempfile.mkdtemp())
    fugashi.build_dictionary(f"build -d {source} -o {compiled} -f utf-8 -t utf-8")
    shutil.copy(source / "dicrc", compiled)
    folder.mkdir(parents=True)
    for name in ["sys.dic", "unk.dic", "char.bin", "matrix.bin"]:
        with open(folder / f"{name}.gz", "wb") as file:
            file.write(gzip.compress((compiled / name).read_bytes(), 9, mtime=0))
    tagger = fugashi.GenericTagger(f"-d {compiled} -r /dev/null")
    with open(folder / "expected.ndjson", "w", encoding="utf-8") as file:
        for _ in range(700):
            text = "".join(rng.choices(ALPHABET, k=rng.randint(0, 30)))
            if rng.random() < 0.3:
                at = rng.randint(0, len(text))
                text = text[:at] + rng.choice(ALPHABET) * rng.randint(20, 30) + text[at:]
            row = {"text": text, "words": [word.surface for word in tagger(text)]}
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def main(out):
    shutil.rmtree(out, ignore_errors=True)
    rng = random.Random(20)
    rows = texts(rng)
    out.mkdir(parents=True)
    write(out, "texts.json", rows)
    for folder in folders(out):
        expect(folder, rows)
    make_dictionary(out / "mecab", random.Random(21))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
