"""Stored texts, BM25, hybrid search, re-ranking, snippets, and runs that are joined."""

import json
import math
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sysconfig
from collections import Counter

import numpy as np
import pytest

from light_splade_rs import (
    CrossEncoder,
    Hit,
    Index,
    Place,
    Searcher,
    SparseEncoder,
    StoredDocument,
    bm25,
    evaluate,
    evaluate_run,
    fuse,
)
from light_splade_rs.errors import DataError, InvalidArgumentError, LightSpladeError, SearchIndexError

DOCUMENTS = [
    {"id": "tokyo", "title": "東京", "text": "日本の首都は東京です。人口は1400万人です。"},
    {"id": "osaka", "title": "大阪", "text": "大阪万博は2025年に開催されます。"},
    {"id": "flights", "text": "It rained all day. Cheap flights to Tokyo leave at night."},
    {"id": "train", "text": "The night train to Tokyo was late."},
]
QUERIES = ["首都", "cheap flights", "night train Tokyo", "万博"]


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hybrid") / "notes"
    with Index.create(folder, encoder, weights="f32", store=True, bm25={"k1": 1.2, "b": 0.75}) as index:
        assert index.add(DOCUMENTS) == 4
    return folder


@pytest.fixture(scope="module")
def searcher(folder):
    return Searcher(folder)


@pytest.fixture(scope="module")
def cross_encoder(root):
    return CrossEncoder(root / "crates/splade-model/tests/fixtures/cross_encoders/bert-japanese")


def full_text(document):
    return f"{document['title']} {document['text']}" if "title" in document else document["text"]


def test_documents_are_stored(searcher):
    for document in DOCUMENTS:
        stored = searcher.document(document["id"])
        assert stored == StoredDocument(document.get("title", ""), document["text"])
        assert stored.full_text == full_text(document)
    assert searcher.document("no") is None
    info = searcher.info
    assert info["stored_bytes"] > 0
    assert (info["bm25"]["k1"], info["bm25"]["b"]) == (1.2, 0.75)


def test_bm25_is_its_formula(encoder, searcher):
    """The formula itself over the tokens of the tokenizer, with the idf of Lucene."""

    def tokens(texts, side):
        return [Counter(ids) for ids in encoder._model.native.token_ids(texts, side, special=False)]

    counts = tokens([full_text(document) for document in DOCUMENTS], "document")
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths)
    assert searcher.info["bm25"]["mean_length"] == pytest.approx(mean)
    for query in QUERIES:
        want = {}
        for document, count, length in zip(DOCUMENTS, counts, lengths):
            score = 0.0
            for term, times in tokens([query], "query")[0].items():
                found = sum(term in count for count in counts)
                idf = math.log(1 + (len(counts) - found + 0.5) / (found + 0.5))
                tf = count[term]
                score += times * idf * tf / (tf + 1.2 * (1 - 0.75 + 0.75 * length / mean))
            if score > 0:
                want[document["id"]] = score
        hits = searcher.search(query, mode="bm25")
        # Weights of documents are kept as 32-bit floats.
        assert {hit.id: hit.score for hit in hits} == pytest.approx(want, rel=1e-5)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        shares = searcher.explain(query, hits[0].id, mode="bm25")
        assert shares.score == pytest.approx(hits[0].score, rel=1e-5)
    assert searcher.search_many(QUERIES, mode="bm25") == [searcher.search(query, mode="bm25") for query in QUERIES]


def ranked(scores):
    return sorted(scores, key=lambda id: -scores[id])


@pytest.mark.parametrize("weights", [None, (0.7, 0.3)])
def test_hybrid_search_is_the_fusion_of_both(searcher, weights):
    for query in QUERIES:
        lists = [searcher.search(query, mode=mode) for mode in ("splade", "bm25")]
        places = [{hit.id: Place(rank, hit.score) for rank, hit in enumerate(hits, 1)} for hits in lists]
        reciprocal, scaled = {}, {}
        for hits, weight in zip(lists, weights or (1, 1)):
            most, least = hits[0].score, hits[-1].score
            for rank, hit in enumerate(hits, 1):
                reciprocal[hit.id] = reciprocal.get(hit.id, 0) + weight / (10 + rank)
                part = (hit.score - least) / (most - least) if most > least else 1.0
                scaled[hit.id] = scaled.get(hit.id, 0) + weight * part
        rrf = searcher.search(query, mode="hybrid", weights=weights, rrf_k=10)
        minmax = searcher.search(query, mode="hybrid", weights=weights, fusion="minmax")
        assert {hit.id: hit.score for hit in rrf} == pytest.approx(reciprocal, rel=1e-5)
        assert {hit.id: hit.score for hit in minmax} == pytest.approx(scaled, rel=1e-5, abs=1e-6)
        for hit in rrf + minmax:
            assert (hit.splade, hit.bm25) == (places[0].get(hit.id), places[1].get(hit.id))
            assert hit.before is None
    sixty = searcher.search("首都", mode="hybrid")
    assert sixty[0].score == pytest.approx(2 / 61, rel=1e-5), "60 if nothing is said"
    many = searcher.search_many(QUERIES, 2, mode="hybrid")
    assert many == [searcher.search(query, 2, mode="hybrid") for query in QUERIES]
    assert all(len(hits) <= 2 for hits in many)
    assert searcher.search_many([], mode="hybrid") == []


def test_depth_and_filter_of_a_hybrid_search(searcher):
    query = "night train Tokyo"
    # Only the first of each ranking takes part.
    [hit] = searcher.search(query, 1, mode="hybrid", depth=1)
    assert hit.id == "train"
    hits = searcher.search(query, mode="hybrid", filter=["flights"])
    assert [hit.id for hit in hits] == ["flights"]
    assert hits[0].splade.rank == hits[0].bm25.rank == 1


def test_re_ranking(searcher, cross_encoder):
    query = "night train Tokyo"
    first = searcher.search(query, mode="hybrid")
    texts = {document["id"]: full_text(document) for document in DOCUMENTS}
    # `predict` was compared with PyTorch in another test. Some models have a sigmoid, of which this is the logit.
    logits = cross_encoder.predict([(query, texts[hit.id]) for hit in first], activation_fn="identity")
    want = {hit.id: logit for hit, logit in zip(first, logits.tolist())}
    hits = searcher.search(query, mode="hybrid", rerank=cross_encoder)
    assert [hit.id for hit in hits] == ranked(want)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(want, abs=1e-6)
    for hit in hits:
        before = first[hit.before.rank - 1]
        assert (before.id, before.score) == (hit.id, hit.before.score)
        assert (before.splade, before.bm25) == (hit.splade, hit.bm25)
    assert searcher.rerank(query, first, cross_encoder) == hits
    assert [hit.id for hit in searcher.rerank(query, list(want), cross_encoder)] == ranked(want)
    # The best hit of the cross-encoder is found although it is not the best of the search.
    assert searcher.search(query, 1, mode="hybrid", rerank=cross_encoder) == hits[:1]
    few = searcher.search(query, 1, mode="hybrid", rerank=cross_encoder, rerank_top=1)
    assert [hit.id for hit in few] == [first[0].id]
    many = searcher.search_many(QUERIES, 2, rerank=cross_encoder)
    assert many == [searcher.search(query, 2, rerank=cross_encoder) for query in QUERIES]


def test_snippets(searcher):
    hits = searcher.search("首都はどこ")
    snippets = searcher.snippets("首都はどこ", hits, 12)
    snippet = snippets[[hit.id for hit in hits].index("tokyo")]
    assert (snippet.id, snippet.title, snippet.text) == ("tokyo", "東京", "日本の首都は東京です。")
    words = {(snippet.text[mark.start : mark.stop], mark.kind) for mark in snippet.marks}
    assert ("首都", "word") in words
    assert all(0 < mark.weight <= 1 for mark in snippet.marks)
    assert "*首都*" in str(snippet) and "<b>首都</b>" in snippet._repr_html_()
    [english] = searcher.snippets("flights", ["flights"], 40)
    assert english.text == "Cheap flights to Tokyo leave at night." and english.title == ""
    assert "*flights*" in str(english)
    assert searcher.snippets("a", ["no"]) == [None]
    assert searcher.snippets("a", []) == []


def test_what_an_index_does_not_have(encoder, cross_encoder, tmp_path):
    plain = tmp_path / "plain"
    with Index.create(plain, encoder) as index:
        index.add(DOCUMENTS)
    searcher = Searcher(plain)
    assert searcher.document("tokyo") is None and searcher.info["bm25"] is None
    for search in (
        lambda: searcher.search("首都", mode="bm25"),
        lambda: searcher.search("首都", mode="hybrid"),
        lambda: searcher.explain("首都", "tokyo", mode="bm25"),
    ):
        with pytest.raises(LightSpladeError, match="no BM25"):
            search()
    with pytest.raises(LightSpladeError, match="stores no texts"):
        searcher.search("首都", rerank=cross_encoder)
    with pytest.raises(SearchIndexError, match="stores no texts"):
        searcher.snippets("首都", ["tokyo"])
    with pytest.raises(LightSpladeError):
        Index.create(tmp_path / "no", encoder, bm25=True)
    assert not (tmp_path / "no").exists()


def test_arguments_that_do_not_fit(searcher, root):
    vector = np.zeros((1, 36864), np.float32)
    for message, search in [
        ("mode is 'both'", lambda: searcher.search("a", mode="both")),
        ('fusion is "sum"', lambda: searcher.search("a", mode="hybrid", fusion="sum")),
        ("rrf_k is for", lambda: searcher.search("a", mode="hybrid", fusion="minmax", rrf_k=1)),
        ("1 weights for 2", lambda: searcher.search("a", mode="hybrid", weights=[1])),
        ("at least 0", lambda: searcher.search("a", mode="hybrid", weights=[1, -1])),
        ("threshold", lambda: searcher.search("a", mode="hybrid", threshold=1)),
        ("weights is for hybrid", lambda: searcher.search("a", weights=[1, 1])),
        ("fusion is for hybrid", lambda: searcher.search("a", mode="bm25", fusion="rrf")),
        ("searched exactly", lambda: searcher.search("a", mode="bm25", recall=0.9)),
        ("rerank_top is for", lambda: searcher.search("a", rerank_top=3)),
        ("depth is 0", lambda: searcher.search("a", mode="hybrid", depth=0)),
        ("need queries that are texts", lambda: searcher.search_many(vector, mode="bm25")),
        ("needs a query that is a text", lambda: searcher.explain(vector, "tokyo", mode="bm25")),
        ("mode is 'hybrid'", lambda: searcher.explain("a", "tokyo", mode="hybrid")),
        ("max_chars is 0", lambda: searcher.snippets("a", [], 0)),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            search()
    two = CrossEncoder(root / "crates/splade-model/tests/fixtures/cross_encoders/bert-two-labels")
    with pytest.raises(InvalidArgumentError, match="2 labels"):
        searcher.rerank("a", ["tokyo"], two)


def test_texts_and_bm25_change_with_the_documents(encoder, tmp_path, caplog):
    folder = tmp_path / "i"
    with Index.create(folder, encoder, store=True, bm25=True) as index:
        index.add(DOCUMENTS)
    with Index.open(folder) as index:
        index.delete("train")
        index.add([{"id": "osaka", "text": "大阪の天気"}, {"id": "kyoto", "text": "京都の寺"}])
    searcher = Searcher(folder)
    assert searcher.document("osaka") == StoredDocument("", "大阪の天気")
    assert searcher.document("train") is None
    assert [hit.id for hit in searcher.search("寺", mode="bm25")] == ["kyoto"]
    assert "osaka" not in [hit.id for hit in searcher.search("万博", mode="bm25")]
    with Index.open(folder, encoder) as index:
        vector = encoder.encode_document(["神戸"], return_type="vectors")
        index.add_vectors(["kobe"], vector)
        assert "keeps texts" in caplog.text
        assert index.merge()["bm25"]["postings"] > 0
    merged = Searcher(folder)
    assert merged.info["deleted"] == 0
    assert merged.search("神戸")[0].id == "kobe" and merged.search("神戸", mode="bm25") == []
    assert merged.snippets("神戸", ["kobe"]) == [None]
    # A resumed build compares store and bm25, too.
    with pytest.raises(LightSpladeError, match="begun with other settings"):
        Index.create(folder, encoder, resume=True)
    with Index.create(folder, encoder, store=True, bm25=True, resume=True) as index:
        index.add(DOCUMENTS)
    assert Searcher(folder).document("osaka") == StoredDocument("", "大阪の天気"), "documents that it has stay"


def test_bm25_without_the_model_at_its_place(demo, tmp_path):
    """A model that was moved is given to `open`, and BM25 takes the tokens from it."""
    shutil.copytree(demo, tmp_path / "model")
    with Index.create(tmp_path / "i", tmp_path / "model", store=True, bm25=True) as index:
        index.add({"a": "東京", "b": "大阪"})
    shutil.move(tmp_path / "model", tmp_path / "moved")
    with Index.open(tmp_path / "i") as index:
        index.delete("a")
        with pytest.raises(LightSpladeError):
            index.merge()
    with Index.open(tmp_path / "i", tmp_path / "moved") as index:
        assert index.merge()["documents"] == 1
    encoder = SparseEncoder(tmp_path / "moved")
    assert [hit.id for hit in Searcher(tmp_path / "i", encoder).search("大阪", mode="bm25")] == ["b"]


def hybrid_of(searcher):
    return searcher.search_many(QUERIES, mode="hybrid")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_pickles_and_forks(searcher):
    want = hybrid_of(searcher)
    assert pickle.loads(pickle.dumps(want)) == want
    assert hybrid_of(pickle.loads(pickle.dumps(searcher))) == want
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = hybrid_of(searcher) == want and searcher.snippets("首都", ["tokyo"])[0].title == "東京"
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map_async(hybrid_of, [searcher]).get(timeout=120) == [want]


def test_hits_tell_their_places():
    hit = Hit("a", 1.0, bm25=Place(2, 0.5))
    assert repr(hit) == 'Hit(id="a", score=1.0000, bm25=Place(rank=2, score=0.5000))'
    assert hit != Hit("a", 1.0) and hit.splade is None


def test_runs_are_joined_and_judged(encoder, root, tmp_path):
    data = root / "data/toy-beir"
    metrics = ["nDCG@10", "Recall@100"]
    both = [evaluate(encoder, data, metrics=metrics), bm25(data, metrics=metrics)]
    for evaluation in both:
        again = evaluate_run(evaluation.run, data, metrics=metrics)
        assert again.metrics == evaluation.metrics and again.per_query == evaluation.per_query
    runs = [evaluation.run for evaluation in both]
    fused = fuse(runs)
    for query, ranking in fused.items():
        want = {}
        for run in runs:
            # Equal scores are in the order of a TREC run: the larger id first.
            order = sorted(run[query], key=lambda id: (run[query][id], id), reverse=True)
            for rank, id in enumerate(order, 1):
                want[id] = want.get(id, 0) + 1 / (60 + rank)
        assert ranking == pytest.approx(want, rel=1e-6)
        assert list(ranking.values()) == sorted(ranking.values(), reverse=True)
    assert all(len(ranking) == 3 for ranking in fuse(runs, k=3).values())
    # The command joins the files of the same runs to the same scores.
    paths = []
    for at, run in enumerate(runs):
        paths.append(tmp_path / f"{at}.trec")
        lines = [
            f"{query} Q0 {id} {rank} {score:.9g} x"
            for query, ranking in run.items()
            for rank, (id, score) in enumerate(ranking.items(), 1)
        ]
        paths[-1].write_text("\n".join(lines) + "\n")
    assert fuse(paths, fusion="minmax", weights=[0.6, 0.4]) == fuse(runs, fusion="minmax", weights=[0.6, 0.4])
    command = shutil.which("light-splade", path=sysconfig.get_path("scripts"))
    if command is not None:
        out = tmp_path / "both.ndjson"
        subprocess.run([command, "fuse", *paths, "-o", out], check=True, timeout=60)
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert rows and len(rows) == len(fused)
    with pytest.raises(InvalidArgumentError, match="3 weights for 2"):
        fuse(runs, weights=[1, 1, 1])
    with pytest.raises(InvalidArgumentError, match="k is 0"):
        fuse(runs, k=0)
    with pytest.raises(DataError):
        fuse([tmp_path / "no.trec", runs[0]])
