"""Evaluation, training, files, training data and cross-encoders."""

import json
import pickle

import numpy as np
import pytest

import light_splade_rs
from light_splade_rs import CrossEncoder, SparseEncoder
from light_splade_rs.errors import (
    ConfigError,
    DataError,
    InvalidArgumentError,
    OutputError,
    StoppedError,
)


def test_evaluate_and_bm25(encoder, root):
    data = root / "data/toy-beir"
    evaluation = light_splade_rs.evaluate(encoder, data, metrics=["nDCG@10", "MRR@10"])
    # The README's figures, which the command prints.
    assert evaluation.metrics["nDCG@10"] == pytest.approx(0.7602, abs=5e-5)
    assert list(evaluation.metrics) == ["nDCG@10", "MRR@10"]
    assert len(evaluation.run) == len(evaluation.per_query) == 12
    mean = np.mean([values["nDCG@10"] for values in evaluation.per_query.values()])
    assert mean == pytest.approx(evaluation.metrics["nDCG@10"])
    assert "nDCG@10" in str(evaluation) and "nDCG@10" in evaluation._repr_html_()
    baseline = light_splade_rs.bm25(data)
    assert baseline.metrics["nDCG@10"] == pytest.approx(0.7368, abs=5e-5)
    with pytest.raises(DataError):
        light_splade_rs.evaluate(encoder, data, metrics=["nDCG of ten"])
    with pytest.raises(InvalidArgumentError, match="weights"):
        light_splade_rs.evaluate(encoder, data, weights="u4")


@pytest.fixture
def overrides(root, tmp_path):
    return {
        "data.DATA_PATH": root / "data/toy",
        "model.model_name_or_path": root / "models/demo",
        "training.output_dir": tmp_path / "out",
        "training.max_steps": 4,
        "training.logging_steps": 1,
        "training.eval_strategy": "no",
        "training.load_best_model_at_end": False,
    }


def test_training_stops_and_resumes_with_the_same_bytes(root, overrides, tmp_path):
    def run(**settings):
        return light_splade_rs.train(config_dir=root / "config", config_name="toy_splade_ja", **settings)

    whole = {**overrides, "training.output_dir": tmp_path / "whole"}
    steps = []
    results = run(
        overrides=whole,
        callback=lambda kind, values: steps.append(values["step"]) if kind == "step" else None,
    )
    assert steps == [1, 2, 3, 4] and results["steps"] == 4
    assert "train_loss" in results["train"]

    def interrupt(kind, values):
        if kind == "step" and values["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as error:
        run(overrides=overrides, callback=interrupt)
    assert isinstance(error.value.__cause__, StoppedError)
    assert error.value.__cause__.hint == "go on with resume=True"
    assert not (tmp_path / "out/model").exists()
    assert run(overrides=overrides, resume=True)["steps"] == 4
    name = "model/model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(SparseEncoder(tmp_path / "out/model")) == 458


def test_wrong_settings_of_training(root, overrides):
    files = {"config_dir": root / "config", "config_name": "toy_splade_ja"}
    with pytest.raises(ConfigError, match="max_stepz") as error:
        light_splade_rs.train(overrides=["training.max_stepz=1"], **files)
    assert "did you mean max_steps" in error.value.hint
    with pytest.raises(ConfigError, match="trainin"):
        light_splade_rs.train({"model": {}, "trainin": {}})
    with pytest.raises(TypeError):
        light_splade_rs.train()
    with pytest.raises(TypeError):
        light_splade_rs.train({}, **files)


def test_files_and_exports(encoder, tmp_path):
    documents = {"a": "東京", "b": "大阪"}
    vectors = tmp_path / "vectors.parquet"
    encoded = light_splade_rs.encode_files(encoder, documents, vectors)
    assert encoded == {"written": 2, "kept": 0}
    with pytest.raises(OutputError) as error:
        light_splade_rs.encode_files(encoder, documents, vectors)
    assert error.value.hint.startswith("replace it with force=True")
    out = tmp_path / "qdrant"
    exported = light_splade_rs.export(vectors, "qdrant", out, field="terms")
    assert exported == {"documents": 2, "was_complete": False}
    points = json.loads(next(out.glob("*-00000.*")).read_text())["points"]
    assert [sorted(point["vector"]) for point in points] == [["terms"], ["terms"]]


@pytest.mark.parametrize(
    "target, settings",
    [
        ("lucene", {"scale": 50}),
        ("elasticsearch", {"kind": "rank_features"}),
        ("opensearch", {"kind": "sparse_vector", "ceiling": 4.0}),
        ("milvus", {"collection": "c"}),
        ("vespa", {"schema": "s"}),
        ("ciff", {"fit": 255}),
        ("pgvector", {"table": "t", "model": "mini-ja-en"}),
        ("seismic", {}),
        ("parquet", {}),
        ("csr", {"form": "npz", "model": "mini-ja-en"}),
    ],
)
def test_every_target(encoder, tmp_path, target, settings):
    vectors = tmp_path / "v.parquet"
    light_splade_rs.encode_files(encoder, {"a": "東京", "b": "大阪"}, vectors)
    exported = light_splade_rs.export(vectors, target, tmp_path / "out", **settings)
    assert exported["documents"] == 2 and any((tmp_path / "out").iterdir())


def test_texts_from_files(encoder, root, tmp_path):
    corpus = root / "data/toy-beir/corpus.jsonl"
    encoded = light_splade_rs.encode_files(encoder, corpus, tmp_path / "v", top_k=5)
    assert encoded["written"] == 150
    again = light_splade_rs.encode_files(encoder, [corpus], tmp_path / "v", top_k=5, resume=True)
    assert again == {"written": 0, "kept": 150}


def test_a_source_that_raises_leaves_no_file(encoder, tmp_path):
    def documents():
        yield "a", "東京"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        light_splade_rs.encode_files(encoder, documents(), tmp_path / "v.ndjson")
    assert not (tmp_path / "v.ndjson").exists()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p: light_splade_rs.export([p], "solr", p), "no target 'solr'"),
        (lambda p: light_splade_rs.export([p], "lucene", p, field="x"), "no setting 'field'"),
        (lambda p: light_splade_rs.export([p], "qdrant"), "either out or push"),
        (lambda p: light_splade_rs.export([p], "qdrant", p, index="x"), "are for push"),
        (lambda p: light_splade_rs.export([p], "ciff", p, scale=1, fit=1), "both given"),
        (lambda p: light_splade_rs.export([p], "opensearch", p, ceiling=1), "no ceiling"),
        (lambda p: light_splade_rs.export([p], "csr", p, form="mtx"), 'form is "mtx"'),
        (lambda p: light_splade_rs.convert("trec", p), "no source 'trec'"),
        (lambda p: light_splade_rs.convert("beir", p, data=p), "needs train"),
        (lambda p: light_splade_rs.convert("squad", p, data=p, train="x"), "no setting 'train'"),
        (lambda p: light_splade_rs.mine(p, p, sources=[{"ranker": "x"}]), 'ranker is "x"'),
        (lambda p: light_splade_rs.mine(p, p, sources=[{"rank": 1}]), "a setting is wrong"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, call, message):
    with pytest.raises(InvalidArgumentError, match=message):
        call(tmp_path / "x")


def test_training_data(root, tmp_path):
    mined = light_splade_rs.mine(root / "data/toy/train", tmp_path / "negatives.ndjson")
    assert mined.negatives > mined.queries > 0
    light_splade_rs.score(tmp_path / "negatives.ndjson", root / "data/toy/train", tmp_path / "s.ndjson", by="bm25")
    assert '"qid"' in (tmp_path / "s.ndjson").read_text()
    folder = root / "crates/splade-model/tests/fixtures/cross_encoders/bert-japanese"
    teachers = [{"by": "cross-encoder", "model": folder, "weight": 0.5}, "bm25"]
    pairs, data = tmp_path / "negatives.ndjson", root / "data/toy/train"

    def scores(by, name, **settings):
        light_splade_rs.score(pairs, data, tmp_path / name, by=by, **settings)
        rows = [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        return {(row["qid"], id): score for row in rows for id, score in row["scores"].items()}

    alone = [scores(teacher, f"{at}.ndjson") for at, teacher in enumerate(teachers)]
    joined = scores(teachers, "joined.ndjson", join="sum")
    want = {pair: 0.5 * score + alone[1][pair] for pair, score in alone[0].items()}
    assert joined == pytest.approx(want, abs=1e-4)
    with pytest.raises(InvalidArgumentError, match="join is"):
        light_splade_rs.score(pairs, data, tmp_path / "x", by=teachers, join="product")
    notes = light_splade_rs.convert("beir", tmp_path / "data", data=root / "data/toy-beir", train="test")
    assert notes and (tmp_path / "data/train").is_dir()
    resumed = light_splade_rs.convert("beir", tmp_path / "data", data=root / "data/toy-beir", train="test", resume=True)
    assert resumed is None


def test_models(encoder, tmp_path):
    assert "36864 terms" in light_splade_rs.inspect("mini-ja-en")
    table = light_splade_rs.export_model("mini-ja-en", tmp_path / "m", dtype="f16", license="mit")
    assert "sentence-transformers" in table
    assert 'license: "mit"' in (tmp_path / "m/README.md").read_text()


def test_cross_encoders(root):
    folder = root / "crates/splade-model/tests/fixtures/cross_encoders/bert"
    # The logits of PyTorch in f64.
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    pairs = [tuple(pair) for pair in expected["pairs"]]
    logits = np.array([result["logits"][0] for result in expected["results"]])
    model = CrossEncoder(folder)
    scores = model.predict(pairs)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, logits, atol=2e-5)
    assert model.predict(pairs[1]) == scores[1]
    sigmoid = model.predict(pairs, activation_fn="sigmoid")
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-logits)), atol=2e-5)
    query, documents = pairs[0][0], [document for _, document in pairs]
    ranked = model.rank(query, documents, return_documents=True)
    assert [result["score"] for result in ranked] == sorted((result["score"] for result in ranked), reverse=True)
    assert all(documents[result["corpus_id"]] == result["text"] for result in ranked)
    assert ranked[0]["score"] == model.predict((query, ranked[0]["text"]))
    assert len(model.rank(query, documents, top_k=2)) == 2
    assert pickle.loads(pickle.dumps(model)).predict(pairs[1]) == scores[1]
    with pytest.raises(InvalidArgumentError, match="pair 1"):
        model.predict([("a", "b"), ("a",)])


def test_a_cross_encoder_with_two_labels(root):
    folder = root / "crates/splade-model/tests/fixtures/cross_encoders/bert-two-labels"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    pairs = [tuple(pair) for pair in expected["pairs"]]
    logits = np.array([result["logits"] for result in expected["results"]])
    model = CrossEncoder(folder)
    np.testing.assert_allclose(model.predict(pairs), logits, atol=2e-5)
    powers = np.exp(logits)
    softmax = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(pairs, apply_softmax=True), softmax, atol=2e-5)
    with pytest.raises(InvalidArgumentError, match="2 labels"):
        model.rank("a", ["b"])
