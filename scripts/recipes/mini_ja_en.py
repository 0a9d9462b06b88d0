"""Writes the training data of mini-ja-en: texts for pretraining, pairs for training, and questions for choosing.

Run: python scripts/recipes/mini_ja_en.py --jaquad FOLDER --nq FOLDER --scifact FOLDER --text FOLDER --output FOLDER

The first three folders are data sets in BEIR's form. The fourth holds text-ja, text-en, pairs-ja and pairs-en as
NDJSON compressed with gzip: rows of `source` and `title`, `text`, or `query`, `positive`. Nothing of the splits test
and dev is read except the documents of SciFact, whose corpus has no splits. Only the standard library is used.

The output has text.ndjson for pretraining and text-ja.ndjson for the vocabulary, the folders jaquad, ja, en and train
(masters and positive lists of JaQuAD, of other Japanese pairs, of the English ones and of all, with the same ids), and
the folders choose/jaquad, choose/nq and choose/scifact in BEIR's form: questions of train that are kept out of the
training.
"""

import argparse
import gzip
import hashlib
import json
import random
from pathlib import Path

# Texts under the GPL, the GFDL or the MPL, whose terms CC BY-SA does not take in, are left out.
LEFT_OUT = (
    "libreoffice-help", "manpages-ja", "gimp-help", "lilypond", "install-guide", "debian-reference",
    "developers-reference", "maint-guide", "debian-faq", "debian-edu", "aptitude", "debian-policy",
)
# Pairs whose positive is an answer or a gloss and no passage, or that cross the languages.
NO_PASSAGE = ("edict", "tanaka", "-xling", "aio-quiz", "niilc-answer", "cmu-qa", "jemhopqa")
# Pairs of a title and its first paragraph are many and easy.
AT_MOST = {"kyoto-wiki-title": 4000, "ku-wikipedia-lead-title": 1500}
CHARACTERS = 1200


def rows(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        yield from (json.loads(line) for line in lines)


def allowed(source):
    return not source.startswith(LEFT_OUT)


def kept_aside(key, one_in):
    """Whether a key is kept out of the training; the choice depends on nothing but the key."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % one_in == 0


def joined(row):
    return f"{row.get('title') or ''} {row['text']}".strip()


class Split:
    """Queries and documents of a training set, each document once, with ids from `first` on."""

    def __init__(self, first):
        self.first, self.documents, self.queries, self.positives = first, {}, [], []

    def pair(self, query, text):
        document = self.documents.setdefault(text, self.first + len(self.documents))
        qid = self.first + len(self.queries)
        self.queries.append({"qid": qid, "text": query})
        self.positives.append({"qid": qid, "positive_doc_ids": [document]})


def write_splits(splits, folder):
    documents = [{"doc_id": id, "text": text} for split in splits for text, id in split.documents.items()]
    write(folder / "doc_master.ndjson", documents)
    write(folder / "query_master.ndjson", [row for split in splits for row in split.queries])
    write(folder / "positive_lists.ndjson", [row for split in splits for row in split.positives])


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def beir(folder):
    documents = {row["_id"]: row for row in rows(folder / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in rows(folder / "queries.jsonl")}
    judged = {}
    for line in (folder / "qrels" / "train.tsv").read_text().splitlines()[1:]:
        query, document, score = line.split("\t")
        if int(score) > 0:
            judged.setdefault(query, []).append(document)
    return documents, queries, judged


def set_of(name, folder, split, one_in, output, by_document=True):
    """Adds the questions of train to a split and writes those that are kept aside; returns the documents of train.

    Questions about one document are kept aside together, so that the training asks nothing about it.
    """
    documents, queries, judged = beir(folder)
    aside = {}
    for query, found in judged.items():
        if kept_aside(found[0] if by_document else query, one_in):
            aside[query] = found
        else:
            for document in found[:1]:
                split.pair(queries[query], joined(documents[document]))
    of_train = {document for found in judged.values() for document in found}
    searched = documents if name == "scifact" else {key: documents[key] for key in sorted(of_train)}
    write(output / "choose" / name / "corpus.jsonl", searched.values())
    write(output / "choose" / name / "queries.jsonl", ({"_id": key, "text": queries[key]} for key in aside))
    qrels = output / "choose" / name / "qrels" / "test.tsv"
    qrels.parent.mkdir(parents=True)
    lines = [f"{query}\t{document}\t1\n" for query, found in aside.items() for document in found]
    qrels.write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    return list(searched.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("jaquad", "nq", "scifact", "text", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    if args.output.exists():
        parser.error(f"{args.output} exists; give another folder")
    choice = random.Random(42)
    splits = {name: Split(number * 1_000_000) for number, name in enumerate(("jaquad", "ja", "en"))}

    texts = {"ja": [], "en": []}
    texts["ja"] += [joined(row) for row in set_of("jaquad", args.jaquad, splits["jaquad"], 30, args.output)]
    texts["en"] += [joined(row) for row in set_of("nq", args.nq, splits["en"], 10, args.output)]
    abstracts = set_of("scifact", args.scifact, splits["en"], 7, args.output, by_document=False)
    texts["en"] += [joined(row) for row in abstracts]
    for row in abstracts:
        splits["en"].pair(row["title"], row["text"])

    for language in ("ja", "en"):
        split, pairs = splits[language], {}
        for row in rows(args.text / f"pairs-{language}.ndjson.gz"):
            source = row["source"]
            if allowed(source) and (source == "aio-quiz-passage" or not any(part in source for part in NO_PASSAGE)):
                pairs.setdefault(source, []).append((row["query"], row["positive"][:CHARACTERS]))
        for source, found in pairs.items():
            choice.shuffle(found)
            limit = AT_MOST.get(source, len(found)) if language == "ja" or "title" not in source else 1500
            for query, positive in found[:limit]:
                split.pair(query, positive)
        texts[language] += [
            joined(row) for row in rows(args.text / f"text-{language}.ndjson.gz") if allowed(row["source"])
        ]

    for name, split in splits.items():
        write_splits([split], args.output / name)
    write_splits(splits.values(), args.output / "train")

    for found in texts.values():
        choice.shuffle(found)
    everything = texts["ja"] + texts["en"]
    choice.shuffle(everything)
    write(args.output / "text.ndjson", ({"text": text} for text in everything))
    write(args.output / "text-ja.ndjson", ({"text": text} for text in texts["ja"]))
    for name, split in splits.items():
        print(f"{name}: {len(split.queries)} pairs")
    for language, found in texts.items():
        print(f"{language}: {len(found)} texts, {sum(map(len, found)) / 1e6:.1f} M characters")


if __name__ == "__main__":
    main()
