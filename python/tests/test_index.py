"""`Index` and `Searcher`: built, changed, stopped, resumed, searched."""

import json
import os
import pickle
import signal
import threading

import numpy as np
import pytest

from light_splade_rs import Index, Searcher, SparseEncoder, encode_files, evaluate
from light_splade_rs.errors import (
    InvalidArgumentError,
    LightSpladeError,
    OtherModelError,
    SearchIndexError,
    StoppedError,
)

DOCUMENTS = {
    "tokyo": "日本の首都は東京です。",
    "osaka": "大阪万博は2025年に開催されます。",
    "flights": "cheap flights to Tokyo",
}


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "notes"
    with Index.create(folder, encoder, weights="f32") as index:
        assert index.add(DOCUMENTS) == 3
    return folder


@pytest.fixture(scope="module")
def searcher(folder):
    return Searcher(folder)


def test_scores_are_dot_products(encoder, searcher):
    vectors = encoder.encode_document(list(DOCUMENTS.values()), return_type="vectors")
    query = encoder.encode_query("首都", return_type="vectors")
    scores = encoder.similarity(query, vectors)[0]
    ids = list(DOCUMENTS)
    want = sorted(((s, i) for s, i in zip(scores.tolist(), ids) if s > 0), reverse=True)
    hits = searcher.search("首都")
    assert [hit.id for hit in hits] == [id for _, id in want]
    # Sums of products in f64, rounded once.
    np.testing.assert_allclose([hit.score for hit in hits], [s for s, _ in want], rtol=1e-6)
    assert searcher.search(query) == hits
    assert searcher.search_many(query) == [hits]


def test_many_queries_are_the_same_as_each(encoder, searcher):
    texts = ["首都", "flights", "万博", "東京 Tokyo"] * 3
    one_by_one = [searcher.search(text) for text in texts]
    assert searcher.search_many(texts) == one_by_one
    vectors = encoder.encode_query(texts, return_type="vectors")
    assert searcher.search_many(vectors) == one_by_one
    assert searcher.search_many(vectors.toarray()) == one_by_one
    assert searcher.search_many(list(vectors)) == one_by_one
    assert searcher.search_many([]) == []


def test_options_of_a_search(searcher):
    assert len(searcher.search("東京 Tokyo", k=1)) == 1
    assert [hit.id for hit in searcher.search("東京 Tokyo", filter=["flights", "no"])] == ["flights"]
    all_hits = searcher.search("東京 Tokyo")
    assert searcher.search("東京 Tokyo", threshold=all_hits[0].score) == all_hits[:1]
    assert searcher.search("東京 Tokyo", recall=0.9)[0] == all_hits[0]
    with pytest.raises(InvalidArgumentError, match="k is 0"):
        searcher.search("a", k=0)
    with pytest.raises(InvalidArgumentError, match="dimensions"):
        searcher.search(np.ones(3, np.float32))


def test_explanations_add_up(searcher):
    [hit, *_] = searcher.search("首都")
    shares = searcher.explain("首都", hit.id)
    assert shares[0].token == "首都"
    assert shares.score == pytest.approx(hit.score, rel=1e-6)
    assert shares[0].score == pytest.approx(shares[0].query_weight * shares[0].document_weight)
    assert "total of" in str(shares) and "首都" in shares._repr_html_()
    with pytest.raises(SearchIndexError, match="'no' is not in the index"):
        searcher.explain("首都", "no")


def test_vectors_of_documents(encoder, searcher):
    searcher.search("a")
    want = encoder.encode_document(DOCUMENTS["tokyo"], return_type="vectors")
    assert searcher.vector("tokyo") == want
    assert searcher.vector("no") is None


def test_an_index_changes_while_it_is_searched(encoder, tmp_path):
    with Index.create(tmp_path / "i", encoder) as index:
        index.add(DOCUMENTS.items())
    before = Searcher(tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        assert index.delete(["osaka", "no"]) == 1
        assert index.add([{"_id": "osaka", "title": "万博", "text": "大阪"}, ("new", "京都")]) == 2
        assert index.merge()["documents"] == 4
    assert before.info["documents"] == 3
    after = Searcher(tmp_path / "i")
    assert after.info["documents"] == 4 and after.info["deleted"] == 0
    titled = encoder.encode_document("万博 大阪", return_type="vectors")
    assert after.vector("osaka").indices.tolist() == titled.indices.tolist()
    assert Index.verify(tmp_path / "i")["documents"] == 4


def test_vectors_from_elsewhere(encoder, tmp_path):
    vectors = encoder.encode_document(list(DOCUMENTS.values()), return_type="vectors")
    with Index.create(tmp_path / "v", None, weights="f32") as index:
        assert index.add_vectors(list(DOCUMENTS), vectors) == 3
        with pytest.raises(InvalidArgumentError, match="1 ids and 3 vectors"):
            index.add_vectors(["a"], vectors)
    searcher = Searcher(tmp_path / "v")
    query = encoder.encode_query("首都", return_type="vectors")
    assert searcher.search(query)[0].id == "tokyo"
    with pytest.raises(SearchIndexError, match="names no model"):
        searcher.search("首都")


def test_another_model_is_refused(demo, folder):
    with pytest.raises(OtherModelError):
        Searcher(folder, demo)
    with Index.open(folder, demo) as index, pytest.raises(OtherModelError):
        index.add({"a": "b"})


def test_documents_that_are_none(encoder, tmp_path):
    for documents, message in [
        (["text"], "document 0 is no pair"),
        ([("a", "b"), ("a",)], "document 1 is no pair"),
        ([{"id": "a", "body": "b"}], "document 0 has no id and text"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            with Index.create(tmp_path / "i", encoder) as index:
                index.add(documents)
        assert not (tmp_path / "i").exists(), "nothing is left of an index that was not begun"
    with pytest.raises(TypeError):
        with Index.create(tmp_path / "i", encoder) as index:
            index.add([("a", 7)])


def test_an_exception_commits_nothing(encoder, tmp_path):
    def documents():
        yield from ((str(at), "東京") for at in range(300))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke") as error:
        with Index.create(tmp_path / "i", encoder) as index:
            index.add(documents())
    assert isinstance(error.value.__cause__, StoppedError)
    assert "documents can be committed" in str(error.value.__cause__)
    assert not (tmp_path / "i").exists()


def test_ctrl_c_keeps_what_was_added_and_resumes(demo, tmp_path):
    # Far more documents than are encoded before the signal.
    def documents():
        for at in range(100_000):
            if at == 1000:
                os.kill(os.getpid(), signal.SIGINT)
            yield str(at), f"東京 {at}"

    folder = tmp_path / "i"
    with pytest.raises(KeyboardInterrupt):
        with Index.create(folder, demo) as index:
            index.add(documents())
    kept = Searcher(folder).info["documents"]
    assert 0 < kept < 100_000
    with Index.create(folder, demo, resume=True) as index:
        index.add((str(at), f"東京 {at}") for at in range(kept + 5))
    assert Searcher(folder).info["documents"] == kept + 5


def test_progress_and_a_callback_that_stops(demo, tmp_path):
    events = []

    def callback(kind, values):
        events.append((kind, values))
        if kind == "progress" and values["done"] > 0:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as error:
        with Index.create(tmp_path / "i", demo) as index:
            index.add(((str(at), "東京") for at in range(100_000)), callback=callback)
    assert isinstance(error.value.__cause__, StoppedError)
    assert events[0][1]["done"] == 0 and events[0][1]["unit"] == "texts"


def test_one_writer_at_a_time_and_closed(demo, tmp_path):
    index = Index.create(tmp_path / "i", demo)
    with pytest.raises(LightSpladeError):
        Index.open(tmp_path / "i")
    index.add({"a": "東京"})
    index.commit()
    index.close()
    with pytest.raises(InvalidArgumentError, match="closed"):
        index.add({"b": "大阪"})
    Index.open(tmp_path / "i").close()


def test_threads_share_a_searcher(searcher):
    want = searcher.search("首都")
    found = []
    threads = [threading.Thread(target=lambda: found.append(searcher.search("首都"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [want] * 8


def test_pickles(searcher):
    hits = searcher.search("首都")
    assert pickle.loads(pickle.dumps(hits)) == hits
    assert pickle.loads(pickle.dumps(searcher)).search("首都") == hits
    assert "3 documents" in repr(searcher) and "tokyo" in repr(hits[0])


def test_settings_of_the_encoder_hold_in_an_index(demo, tmp_path):
    """Prompts and max_active_dims that were given to the encoder are used wherever it encodes."""
    encoder = SparseEncoder(demo, prompts={"query": "朝: ", "document": "夜: "}, max_active_dims=2)
    with Index.create(tmp_path / "i", encoder, weights="f32") as index:
        index.add({"a": "電車で東京へ行く。"})
    plain = SparseEncoder(demo)
    document = plain.encode_document("夜: 電車で東京へ行く。", max_active_dims=2, return_type="vectors")
    query = plain.encode_query("朝: 電車", max_active_dims=2, return_type="vectors")
    searcher = Searcher(tmp_path / "i", encoder)
    assert searcher.vector("a") == document
    hits = searcher.search("電車")
    assert hits == searcher.search(query)
    again = pickle.loads(pickle.dumps(searcher))
    assert again.search("電車") == hits
    encode_files(encoder, {"a": "電車で東京へ行く。"}, tmp_path / "v.ndjson", keys="ids", decimals=6)
    row = json.loads((tmp_path / "v.ndjson").read_text())["vector"]
    assert {int(term) for term in row} == set(document.to_dict())
    with pytest.raises(InvalidArgumentError, match="max_active_dims"):
        evaluate(encoder, "no such data")
    # The index names its model and how documents were encoded: prompt and number of weights are in it.
    with Index.open(tmp_path / "i") as index:
        index.add({"b": "電車で東京へ行く。"})
    assert Searcher(tmp_path / "i", encoder).vector("b") == document


def test_vectors_of_another_model_are_refused(encoder, folder):
    with Index.open(folder) as index, pytest.raises(InvalidArgumentError, match="458 dimensions"):
        index.add_vectors(["x"], np.zeros((1, 458), np.float32))


def test_closing_within_a_block(demo, tmp_path):
    with Index.create(tmp_path / "i", demo) as index:
        index.add({"a": "東京"})
        index.commit()
        index.close()
    assert Searcher(tmp_path / "i").info["documents"] == 1
