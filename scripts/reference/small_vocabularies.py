"""Defines the texts of the tiny models, and tokenizers whose vocabularies are just large enough for them.

Every vocabulary is listed and not trained, so that it is the same on every machine. Some words are whole, and the
rest consists of characters (BERT), bytes (BPE) or scored pieces (Unigram). Emoji and a few characters are left out on
purpose, so that they become the unknown token.
"""

import json
import unicodedata
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

TEXTS = [
    "The night train crosses the bridge before dawn.",
    "夜行列車が夜明け前に橋を渡る。",
    "",
    " \t\n ",
    "A café in Kyōto sells matcha for 450 yen, naïve?",
    "雨☔のち晴れ☀️ 🚂💨 ok 👩‍🚀!",
    "bell\u0007 tab\there, zero\u200bwidth, del\u007f, next\u0085line\u2028end",
    "train",
    "TRAIN Train train 列車 列車",
    "The baker opens at six and bread is warm; 朝六時にパン屋が開く。焼きたてのパンはあたたかい。",
    "After the rain the garden smells of earth, the river runs high under the old bridge, and "
    "the baker tells everyone that the last train will not stop here before dawn; 雨のあと庭は土の"
    "においがして、川は古い橋の下を高く流れ、パン屋は夜明け前に列車がここに止まらないと話す。",
    "ＴＲＡＩＮ１２３ ﾊﾟﾝ ㍿ ½ ﬁne",
    "[SEP] or <mask> typed by hand",
]

WORDS = [
    "train", "trains", "night", "bridge", "the", "before", "dawn", "rain", "garden", "river",
    "bread", "baker", "open", "warm", "of", "and", "at", "is", "in", "old", "cafe", "yen", "450",
]
PIECES = ["##s", "##er", "##es", "##ing", "##ly"]
JAPANESE = ["列車", "夜明け", "パン屋", "雨", "橋", "庭", "夜行", "朝", "六", "時", "渡る", "パン", "開く"]


def _characters(lower):
    """Returns the characters of the texts, without emoji and some that should be unknown."""
    found = set()
    for text in TEXTS:
        text = unicodedata.normalize("NFKC", text)
        found.update(text)
        if lower:
            found.update(unicodedata.normalize("NFD", text.lower()))
    return sorted(c for c in found if c.isalnum() or c in ".,;?!<>。、") + ["[", "]"]


def _cjk(char):
    return "\u4e00" <= char <= "\u9fff"


def wordpiece_vocabulary(japanese_words=False):
    """Returns the lines of a vocab.txt."""
    characters = [c for c in _characters(True) if not c.isupper() and c not in "ïō高"]
    continued = [f"##{c}" for c in characters if c.isalnum() and (japanese_words or not _cjk(c))]
    words = WORDS + (JAPANESE if japanese_words else [])
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys(special + words + PIECES + characters + continued))


def write_wordpiece(folder, tokenizer_class, limit, japanese=False, lower=True):
    """Writes vocab.txt and tokenizer_config.json, as in older models."""
    folder = Path(folder)
    vocabulary = wordpiece_vocabulary(japanese)
    (folder / "vocab.txt").write_text("".join(f"{t}\n" for t in vocabulary), encoding="utf-8")
    config = {
        "cls_token": "[CLS]",
        "do_lower_case": lower,
        "mask_token": "[MASK]",
        "model_max_length": limit,
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "tokenizer_class": tokenizer_class,
        "unk_token": "[UNK]",
    }
    if japanese:
        config |= {
            "do_subword_tokenize": True,
            "do_word_tokenize": True,
            "mecab_kwargs": {"mecab_dic": "unidic_lite"},
            "subword_tokenizer_type": "wordpiece",
            "word_tokenizer_type": "mecab",
        }
    _write_json(folder / "tokenizer_config.json", config)
    return len(vocabulary)


def _byte_alphabet():
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _merges(words):
    """Returns the merges that build each word from the left, in byte-level characters."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    merges = []
    for word in words:
        symbols = level.pre_tokenize_str(word)[0][0]
        for end in range(1, len(symbols)):
            pair = (symbols[:end], symbols[end])
            if pair not in merges:
                merges.append(pair)
    return merges


def write_byte_bpe(folder, special, tokenizer_class, limit, prefix_space, roberta):
    """Writes tokenizer.json with a byte-level BPE. `special` names the roles of the special tokens."""
    order = ["cls_token", "pad_token", "sep_token", "unk_token", "mask_token"]
    vocabulary = [special[role] for role in order] + _byte_alphabet()
    merges = _merges([" train", " the", " bridge", " night", " rain", "train", "橋", "雨", "パン"])
    vocabulary += list(dict.fromkeys(a + b for a, b in merges))
    bpe = models.BPE({token: i for i, token in enumerate(vocabulary)}, merges)
    tokenizer = Tokenizer(bpe)
    if not roberta:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    cls, sep = special["cls_token"], special["sep_token"]
    tokenizer.add_special_tokens(list(special.values()))
    pair = [(sep, vocabulary.index(sep)), (cls, vocabulary.index(cls))]
    if roberta:
        tokenizer.post_processor = processors.RobertaProcessing(
            *pair, trim_offsets=True, add_prefix_space=prefix_space
        )
    else:
        tokenizer.post_processor = _template(cls, sep, vocabulary)
    _save(tokenizer, folder, special, tokenizer_class, limit)
    return len(vocabulary)


def write_unigram(folder, special, tokenizer_class, limit):
    """Writes tokenizer.json with a Unigram model in the manner of SentencePiece."""
    pieces = [(token, 0.0) for token in special.values()]
    words = [f"▁{word}" for word in WORDS] + [piece[2:] for piece in PIECES] + JAPANESE
    scores = [(word, -4.0 - 0.25 * (i % 13)) for i, word in enumerate(words)]
    characters = ["▁"] + [c for c in _characters(False) if c != "高"]
    scores += [(c, -9.0 - 0.125 * (i % 7)) for i, c in enumerate(characters)]
    pieces += [(token, score) for token, score in dict(scores).items()]
    vocabulary = [token for token, _ in pieces]
    unknown = vocabulary.index(special["unk_token"])
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.add_special_tokens(list(dict.fromkeys(special.values())))
    tokenizer.post_processor = _template(special["cls_token"], special["sep_token"], vocabulary)
    _save(tokenizer, folder, special, tokenizer_class, limit)
    return len(vocabulary)


def _template(cls, sep, vocabulary):
    ids = [(cls, vocabulary.index(cls)), (sep, vocabulary.index(sep))]
    return processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B {sep}", special_tokens=ids
    )


def _save(tokenizer, folder, special, tokenizer_class, limit):
    tokenizer.save(str(Path(folder) / "tokenizer.json"))
    config = {"model_max_length": limit, "tokenizer_class": tokenizer_class, **special}
    _write_json(Path(folder) / "tokenizer_config.json", config)


def _write_json(path, value):
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
