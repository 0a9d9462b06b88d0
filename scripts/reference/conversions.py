"""Converts small data sets the slow way, as a reference for `light-splade convert`.

    python scripts/reference/conversions.py crates/splade-data/tests/fixtures/convert

The program writes a folder of input files for each source. They are random but seeded, and they contain the cases that
conversions must get right (equal texts, unknown ids, queries without negatives). The folder `expected` holds the
result, which dictionaries and pandas compute by the rules of the Python library's converters. Where these converters
sample at random, `expected` holds the set that they sample from. Python itself pickles the teachers' scores.
"""

import gzip
import json
import pickle
import random
import sys
from pathlib import Path

import pandas as pd


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lines(path, rows):
    write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def tsv(path, rows):
    write(path, "".join("\t".join(str(field) for field in row) + "\n" for row in rows))


def packed(path, data):
    with open(path, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as gz:
        gz.write(data)


def master(path, field, texts, ids):
    lines(path, [{field: int(i), "text": texts[i]} for i in ids])


def positives(path, frame):
    rows = []
    for qid, group in frame.groupby("qid"):
        rows.append({"qid": int(qid), "positive_doc_ids": [int(d) for d in group.pos.unique()]})
    lines(path, rows)


def mmarco(root, rng):
    """Converts triples of ids and of texts. The module docs of mmarco.rs state the rules."""
    words = ["電車", "東京", "cheap", "\"quoted\"", "back\\slash", "train", "é", "朝"]
    phrase = lambda n: " ".join(rng.choice(words) for _ in range(n))
    docs = {i * 3 + 7: phrase(rng.randint(1, 3)) + ("  " if i % 5 == 0 else "") for i in range(60)}
    train = {1000 - i: phrase(2) for i in range(20)}
    dev = {5000 + i: phrase(2) for i in range(12)}
    order = list(docs)
    rng.shuffle(order)
    base = root / "mmarco" / "data"
    tsv(base / "google/collections/japanese_collection.tsv", [(i, docs[i]) for i in order])
    tsv(base / "google/queries/train/japanese_queries.train.tsv", train.items())
    tsv(base / "google/queries/dev/japanese_queries.dev.tsv", dev.items())
    pool = list(train) + [4]
    triples = []
    for _ in range(240):
        qid = rng.choice(pool)
        # A query has two positives, and some negatives are also positive.
        positive = order[(qid * 7 + rng.randint(0, 1)) % len(order)]
        negative = rng.choice(order + [2]) if qid % 6 else positive
        triples.append((qid, positive, negative))
    tsv(base / "triples.train.ids.small.tsv", triples)

    docs = {i: docs[i].rstrip() for i in order}
    by_text = {}
    for i in order:
        by_text.setdefault(docs[i], i)
    queries = {**train, **dev}
    query_by_text = {text: i for i, text in queries.items()}
    texts = [(train[q], docs[p], docs[n]) for q, p, n in triples if q in train and n in docs]
    tsv(root / "mmarco-texts" / "triples.train.small.tsv", texts + [("unknown query", texts[0][1], texts[0][2])])
    frame = pd.DataFrame(texts, columns=["query", "positive", "negative"])
    frame = pd.DataFrame({
        "qid": frame["query"].map(query_by_text),
        "pos": frame["positive"].map(by_text),
        "neg": frame["negative"].map(by_text),
    })

    for purpose in ["triplet", "distil"]:
        out = root / "expected" / f"mmarco-{purpose}"
        if purpose == "distil":
            bad = [q for q, g in frame.groupby("qid") if not set(g.neg) - set(g.pos)]
            assert bad, "the fixture must have a query without negatives"
            frame = frame[~frame.qid.isin(bad)].reset_index(drop=True)
        samples = {"dev": [], "train": {}}
        scores = {}
        for part, ids in [("train", train), ("validation", dev)]:
            own = frame[frame.qid.isin(list(ids))]
            assert len(own)
            master(out / part / "query_master.ndjson", "qid", queries, own.qid.unique())
            used = sorted(set(own.pos) | set(own.neg))
            master(out / part / "doc_master.ndjson", "doc_id", docs, used)
            positives(out / part / "positive_lists.ndjson", own)
            if purpose == "triplet":
                rows = zip(own.qid, own.pos, own.neg)
                lines(out / part / "triplets.ndjson", [
                    {"qid": int(q), "pos_doc_id": int(p), "neg_doc_id": int(n)} for q, p, n in rows
                ])
                continue
            for qid, group in own.groupby("qid"):
                good = [int(d) for d in group.pos.unique()]
                bad = [int(d) for d in group.neg.unique() if d not in good]
                scores[int(qid)] = [good, bad]
                if part == "validation":
                    samples["dev"].append({
                        "query": queries[qid],
                        "positive": [docs[d] for d in group.pos],
                        "negative": [docs[d] for d in group.neg],
                    })
                else:
                    samples["train"][queries[qid]] = [[docs[d] for d in good], [docs[d] for d in bad]]
        if purpose == "distil":
            # For each query: its positives, and the set that its negatives are sampled from.
            write(out / "drawn.json", json.dumps({"scores": scores, "samples": samples}, ensure_ascii=False, indent=0))


def msmarco(root, rng):
    base = root / "msmarco"
    docs = {i: f"passage {i % 37} text" for i in range(50)}
    train = {100 + i: f"query {i}" for i in range(12)}
    dev = {900 + i: f"dev query {i}" for i in range(3)}
    tsv(base / "collection.tsv", docs.items())
    tsv(base / "queries.train.tsv", train.items())
    tsv(base / "queries.dev.small.tsv", dev.items())
    good = {q: sorted(rng.sample(range(37), 1 + q % 2)) for q in train}
    good_dev = {q: [q % 37] for q in dev}
    # One judgement has an unknown document, one an unknown query, and one the grade 0.
    rows = [(q, 0, d, 1) for q in train for d in good[q]] + [(100, 0, 77, 1), (1, 0, 1, 1), (101, 0, 36, 0)]
    rng.shuffle(rows)
    tsv(base / "qrels.train.tsv", rows)
    tsv(base / "qrels.dev.small.tsv", [(q, 0, d, 1) for q in dev for d in good_dev[q]])
    # For query 111 only positives have scores, and query 110 has no scores at all.
    scores = {}
    for q in list(train)[:-2] + [111, 5]:
        others = [d for d in rng.sample(range(37), 9) if d not in good.get(q, [])]
        near = good.get(q, []) if q == 111 else good.get(q, [])[:1] + others + [60]
        scores[q] = {d: round(rng.uniform(-10, 10), 3) for d in near}
    for name, protocol in [("scores-2.pkl.gz", 2), ("scores-5.pkl.gz", 5)]:
        packed(base / name, pickle.dumps(scores, protocol))
    packed(base / "scores-text.pkl.gz", pickle.dumps({str(q): {str(d): s for d, s in of.items()} for q, of in scores.items()}, 4))
    write(base / "run.json", json.dumps(scores))
    lines(base / "ours.ndjson", [{"qid": q, "scores": of} for q, of in scores.items()])
    write(base / "run.trec", "".join(
        f"{q} Q0 {d} {rank} {s} tag\n" for q, of in scores.items() for rank, (d, s) in enumerate(of.items(), 1)
    ))
    known = lambda q, d: q in train and d in docs
    lines(base / "opensearch.jsonl", [
        {"query": train[q], "docs": [docs[d] for d in of if d in docs], "scores": [s for d, s in of.items() if d in docs]}
        for q, of in scores.items() if q in train
    ])
    lines(base / "sentence-transformers.jsonl", [
        {"qid": q, "pos": [{"pid": d, "ce-score": s} for d, s in of.items() if d in good.get(q, [])],
         "neg": {"bm25": [{"pid": d, "ce-score": s} for d, s in of.items() if d not in good.get(q, [])]}}
        for q, of in scores.items()
    ])
    hard = {}
    for q, of in scores.items():
        bad = [d for d in of if d not in good.get(q, [])]
        hard[q] = {"bm25": bad[::2], "dense": bad[1::2] + bad[:1]}
    lines(base / "hard-negatives.jsonl", [{"qid": q, "pos": good.get(q, []), "neg": neg} for q, neg in hard.items()])
    pairs = [(q, d) for q, of in scores.items() for d in of if d not in good.get(q, []) and known(q, d)]
    first = {q: [d for d in good[q] if d in scores.get(q, {})] for q in train}
    five = [(q, first[q][0], d, scores[q][first[q][0]], scores[q][d]) for q, d in pairs]
    tsv(base / "naver.tsv", [(train[q], docs[p], docs[n], sp, sn) for q, p, n, sp, sn in five])
    tsv(base / "naver-ids.tsv", five)
    tsv(base / "margins.tsv", [(sp, sn, q, p, n) for q, p, n, sp, sn in five])
    triples = [(q, good[q][0], d) for q, d in pairs] + [(100, 1, 99)]
    packed(base / "qidpidtriples.tsv.gz", "".join(f"{q}\t{p}\t{n}\n" for q, p, n in triples).encode())

    out = root / "expected" / "msmarco"
    rows = []
    for q in train:
        of = {d: s for d, s in scores.get(q, {}).items() if d in docs}
        bad = {d: s for d, s in of.items() if d not in good[q]}
        if not bad:
            continue
        best = max(bad.values())
        rows.append({"qid": q, "scores": {**{d: of.get(d, best) for d in good[q]}, **bad}})
    kept = [row["qid"] for row in rows]
    lines(out / "scores.ndjson", rows)
    master(out / "train/query_master.ndjson", "qid", train, kept)
    master(out / "train/doc_master.ndjson", "doc_id", docs, sorted({d for row in rows for d in row["scores"]}))
    lines(out / "train/positive_lists.ndjson", [{"qid": q, "positive_doc_ids": good[q]} for q in kept])
    lines(out / "train/triplets.ndjson", [
        {"qid": q, "pos_doc_id": p, "neg_doc_id": n} for q, p, n in triples[:-1]
    ])
    master(out / "validation/query_master.ndjson", "qid", dev, list(dev))
    lines(out / "validation/positive_lists.ndjson", [{"qid": q, "positive_doc_ids": good_dev[q]} for q in dev])
    master(out / "validation/doc_master.ndjson", "doc_id", docs, list(docs))


def beir(root):
    base = root / "beir"
    docs = [("d1", "Title", "text one"), ("d/2", "", "text two "), ("7", "T", "三")]
    queries = [("q1", "first?"), ("q2", "second?"), ("x", "third?"), ("y", "fourth?")]
    lines(base / "corpus.jsonl", [{"_id": i, "title": t, "text": x} for i, t, x in docs])
    lines(base / "queries.jsonl", [{"_id": i, "text": x} for i, x in queries])
    head = [("query-id", "corpus-id", "score")]
    tsv(base / "qrels/train.tsv", head + [("q2", "7", 2), ("q1", "d/2", 1), ("q2", "d1", 1), ("x", "d1", 0), ("q1", "gone", 1)])
    tsv(base / "qrels/test.tsv", head + [("y", "7", 1), ("nobody", "d1", 1)])
    out = root / "expected" / "beir"
    texts = ["Title text one", "text two", "T 三"]
    for part, rows in [("train", [(4, "first?", [2]), (5, "second?", [1, 3])]), ("validation", [(7, "fourth?", [3])])]:
        lines(out / part / "doc_master.ndjson", [{"doc_id": i + 1, "text": x} for i, x in enumerate(texts)])
        lines(out / part / "query_master.ndjson", [{"qid": q, "text": x} for q, x, _ in rows])
        lines(out / part / "positive_lists.ndjson", [{"qid": q, "positive_doc_ids": d} for q, _, d in rows])
    tsv(out / "doc_ids.tsv", [(i + 1, d[0]) for i, d in enumerate(docs)])
    tsv(out / "query_ids.tsv", [(i + 4, q[0]) for i, q in enumerate(queries)])


def squad(root):
    """Writes two train files in JaQuAD's form and one dev file in SQuAD 2.0's form."""
    question = lambda i, text, **more: {"question": text, "id": i, "answers": [{"text": "a", "answer_start": 0, "answer_type": "Object"}], "question_type": "x", **more}
    article = lambda title, *paragraphs: {"title": title, "paragraphs": [{"context": c, "qas": q} for c, q in paragraphs]}
    file = lambda *articles: json.dumps({"version": "JaQuAD-version-0.1.0", "data": articles}, ensure_ascii=False, indent="\t")
    base = root / "squad" / "data"
    write(base / "train/jaquad_train_0000.json", file(article("手塚", ("漫画\n家", [question("tr-0", "誰?"), question("tr-1", "何?")]), ("空", []))))
    write(base / "train/jaquad_train_0001.json", file(article("B", ("same", [question("tr-2", "x")]), ("same", [question("tr-3", "y")]))))
    write(base / "dev/jaquad_dev_0000.json", file(article("B", ("same", [question("de-0", "z")]), ("other", [question("de-1", "w"), question("de-2", "v", is_impossible=True)]))))
    out = root / "expected" / "squad"
    texts = ["手塚 漫画\n家", "手塚 空", "B same", "B other"]
    queries = [("tr-0", "誰?", 1), ("tr-1", "何?", 1), ("tr-2", "x", 3), ("tr-3", "y", 3), ("de-0", "z", 3), ("de-1", "w", 4)]
    for part, docs, rows in [("train", 3, range(4)), ("validation", 4, range(4, 6))]:
        lines(out / part / "doc_master.ndjson", [{"doc_id": i + 1, "text": texts[i]} for i in range(docs)])
        lines(out / part / "query_master.ndjson", [{"qid": 5 + r, "text": queries[r][1]} for r in rows])
        lines(out / part / "positive_lists.ndjson", [{"qid": 5 + r, "positive_doc_ids": [queries[r][2]]} for r in rows])
    tsv(out / "query_ids.tsv", [(5 + r, queries[r][0]) for r in range(6)])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    mmarco(folder, random.Random(1))
    msmarco(folder, random.Random(2))
    beir(folder)
    squad(folder)
