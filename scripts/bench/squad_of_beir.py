"""Converts JaQuAD from BEIR's form to its published form, for pipelines that start from the published files.

    python scripts/bench/squad_of_beir.py ../shared/data/jaquad data/JaQuAD

The questions have no answers, because `convert squad` does not read them.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path


def rows(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main():
    source, target = map(Path, sys.argv[1:])
    documents = rows(source / "corpus.jsonl")
    questions = {row["_id"]: row["text"] for row in rows(source / "queries.jsonl")}
    for part in ["train", "dev"]:
        asked = defaultdict(list)
        for line in (source / f"qrels/{part}.tsv").read_text().splitlines()[1:]:
            query, document, _ = line.split("\t")
            asked[document].append({"id": query, "question": questions[query]})
        articles = defaultdict(list)
        for document in documents:
            if document["_id"] in asked:
                paragraph = {"context": document["text"], "qas": asked[document["_id"]]}
                articles[document["title"]].append(paragraph)
        data = [{"title": title, "paragraphs": list_} for title, list_ in articles.items()]
        folder = target / part
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"data": data}, ensure_ascii=False)
        (folder / f"jaquad_{part}_0000.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
