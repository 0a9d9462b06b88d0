"""The classes of light_splade: the same results as light_splade 0.1.3 itself, in every form."""

import pickle
import sys

import numpy as np
import pytest

from light_splade_rs import SparseVectors
from light_splade_rs.errors import InvalidArgumentError, MissingPackageError
from light_splade_rs.models.splade import Splade, SpladeEncoder

# The library computes in f32 by other sums than this one: weights agree to a few units of the sixth digit. Both round to
# four decimals, so a weight beside a boundary may differ by one unit of the last.
TOLERANCE = 2e-5
ROUNDED = 1.01e-4


@pytest.fixture(scope="module", params=["demo", "mini-ja-en"])
def pair(request, root, of_light_splade):
    """An encoder of a model folder, and what light_splade returned for it."""
    return SpladeEncoder(model_path=root / "models" / request.param), of_light_splade[request.param]


def assert_same_dictionaries(got, want, tolerance):
    assert len(got) == len(want)
    for ours, theirs in zip(got, want):
        assert set(ours) == set(theirs)
        for token, weight in theirs.items():
            assert abs(ours[token] - weight) <= tolerance, token
        assert list(ours.values()) == sorted(ours.values(), reverse=True)


def test_the_quick_start(pair):
    encoder, fixture = pair
    texts = fixture["texts"][:2]
    embeddings = encoder.encode(texts)
    assert_same_dictionaries(encoder.to_sparse(embeddings), fixture["to_sparse"], ROUNDED)


def test_the_quick_start_with_transformers_alone(pair):
    encoder, fixture = pair
    tokens = encoder.tokenizer(fixture["texts"][:2], padding=True, return_tensors="np")
    assert tokens["input_ids"].tolist() == fixture["tokenizer"]["input_ids"]
    assert tokens.attention_mask.tolist() == fixture["tokenizer"]["attention_mask"]
    sparse = encoder.get_sparse(**tokens)
    assert_same_dictionaries(sparse, fixture["get_sparse"], ROUNDED)
    # The program rounds to two decimals.
    assert_same_dictionaries(sparse, fixture["transformers"], 5.1e-3)


@pytest.mark.parametrize("name, settings", [("csr", {}), ("csr_of_8_tokens", {"max_seq_length": 8})])
def test_vectors_of_all_texts(pair, name, settings):
    encoder, fixture = pair
    want = fixture[name]
    got = encoder.encode(fixture["texts"], return_type="vectors", **settings)
    assert list(got.shape) == want["shape"]
    assert got.indptr.tolist() == want["indptr"]
    assert got.indices.tolist() == want["indices"]
    np.testing.assert_allclose(got.data, want["data"], atol=TOLERANCE, rtol=0)


def test_the_vocabulary(pair):
    encoder, fixture = pair
    assert encoder.avg_token_length == pytest.approx(fixture["avg_token_length"], abs=1e-12)
    assert encoder.tokenizer.model_max_length <= fixture["max_position_embeddings"]
    assert encoder.idx2token[encoder.tokenizer.convert_tokens_to_ids("東京")] == "東京"


def test_every_return_type_has_the_same_weights(demo):
    encoder = SpladeEncoder(model_path=demo)
    texts = ["日本の首都は東京です。", "", "朝の電車"]
    vectors = encoder.encode(texts, return_type="vectors")
    dense = encoder.encode(texts, return_type="numpy")
    assert dense.dtype == np.float32 and dense.shape == (3, 458)
    np.testing.assert_array_equal(vectors.toarray(), dense)
    assert encoder.to_sparse(dense) == encoder.to_sparse(vectors)
    assert encoder.encode([], return_type="numpy").shape == (0, 458)


def test_scipy(demo):
    sparse = pytest.importorskip("scipy.sparse")
    encoder = SpladeEncoder(model_path=demo)
    texts = ["日本の首都は東京です。", "朝の電車"]
    matrix = encoder.encode(texts)
    assert sparse.issparse(matrix) and matrix.format == "csr" and matrix.dtype == np.float32
    vectors = encoder.encode(texts, return_type="vectors")
    # The arrays are handed over, not copied.
    assert np.shares_memory(vectors.tocsr().data, vectors.data)
    assert np.shares_memory(vectors.tocsr().indices, vectors.indices)
    np.testing.assert_array_equal(matrix.toarray(), vectors.toarray())
    assert encoder.to_sparse(matrix) == encoder.to_sparse(vectors)
    assert encoder.encode([], return_type="csr_matrix").shape == (0, 458)


def test_torch(demo):
    torch = pytest.importorskip("torch")
    encoder = SpladeEncoder(model_path=demo)
    texts = ["日本の首都は東京です。", "朝の電車"]
    dense = encoder.encode(texts, return_type="tensor")
    assert dense.dtype == torch.float32
    np.testing.assert_array_equal(dense.numpy(), encoder.encode(texts, return_type="numpy"))
    tokens = encoder.tokenizer(texts, padding=True, return_tensors="pt").to("cpu")
    np.testing.assert_array_equal(encoder(**tokens).numpy(), dense.numpy())
    assert encoder.to_sparse(dense) == encoder.get_sparse(**tokens)


def test_what_is_not_installed_is_told(demo, monkeypatch):
    encoder = SpladeEncoder(model_path=demo)
    for package, return_type in [("scipy", "csr_matrix"), ("torch", "tensor")]:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingPackageError, match="not installed") as error:
            encoder.encode(["a"], return_type=return_type)
        assert f"install {package}" in error.value.hint
        assert isinstance(error.value, ImportError)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda e: e.encode(["a"], return_type="list"), "`return_type` must be one of"),
        (lambda e: e.encode("a"), "texts is one text"),
        (lambda e: e.encode(["a", None]), "text 1 is of type NoneType"),
        (lambda e: e.encode(["a"], batch_size=0), "batch_size is 0"),
        (lambda e: e.to_sparse(np.zeros(458, np.float32)), "must be a matrix"),
        (lambda e: e.to_sparse(np.zeros((1, 7), np.float32)), "7 dimensions"),
        (lambda e: e.get_sparse([[2, 3]], [[0, 1]]), "a 0 before a 1"),
        (lambda e: e.get_sparse([[2, -3]], [[1, 1]]), "below 0"),
        (lambda e: e.get_sparse([[2, 3]], [[1]]), "input_ids is"),
        (lambda e: e.tokenizer(["a", "a b"], return_tensors="np"), "different lengths"),
        (lambda e: e.tokenizer(["a"], return_tensors="tf"), "return_tensors is 'tf'"),
        (lambda e: SpladeEncoder(e._model.name, agg="mean"), "agg must be one of"),
        (lambda e: SpladeEncoder(e._model.name, agg="sum"), "a setting of the model"),
        (lambda e: SpladeEncoder(e._model.name, device="cuda"), "no device 'cuda'"),
        (lambda e: SpladeEncoder(e._model.name, precision="f8"), 'precision is "f8"'),
        (lambda e: SpladeEncoder(e._model.name, threads=0), "threads is 0"),
        (lambda e: Splade(e._model.name, freeze_d_model=True), "a setting of training"),
        (lambda e: Splade(e._model.name, "mini-ja-en"), "different vocabularies"),
    ],
)
def test_arguments_that_do_not_fit(demo, call, message):
    with pytest.raises(InvalidArgumentError, match=message) as error:
        call(SpladeEncoder(model_path=demo))
    assert isinstance(error.value, ValueError)


def test_two_towers(demo, tmp_path):
    splade = Splade(d_model_path=demo)
    assert splade.is_shared_weights and splade.q_encoder is splade.d_encoder
    tokens = splade.d_encoder.tokenizer(["朝の電車"], padding=True, return_tensors="np")
    vectors = splade(d_input_ids=tokens.input_ids, d_attention_mask=tokens.attention_mask)
    assert vectors["q_vector"] is None
    assert splade.to_sparse(vectors)["d_vector"] == splade.d_encoder.get_sparse(**tokens)
    two = Splade(d_model_path=demo, q_model_path=demo)
    two.save(tmp_path / "saved")
    two.load(tmp_path / "saved")
    assert (tmp_path / "saved/query_model/model.safetensors").is_file()
    assert two.q_encoder.get_sparse(**tokens) == splade.q_encoder.get_sparse(**tokens)


def test_pickling_by_name(demo):
    encoder = SpladeEncoder(model_path=demo, precision="int8")
    again = pickle.loads(pickle.dumps(encoder))
    vectors = encoder.encode(["朝の電車"], return_type="vectors")
    assert isinstance(vectors, SparseVectors)
    assert again.encode(["朝の電車"], return_type="vectors") == vectors
