"""`SparseEncoder`, and vectors in every form."""

import math
import pickle

import numpy as np
import pytest

from light_splade_rs import SparseEncoder, SparseVector, SparseVectors
from light_splade_rs.errors import InvalidArgumentError, ModelError

TEXTS = ["日本の首都は東京です。", "cheap flights to Tokyo", ""]


@pytest.fixture(scope="module")
def vectors(encoder):
    return encoder.encode_document(TEXTS, return_type="vectors")


def test_one_text_is_a_vector_and_a_list_a_matrix(encoder, vectors):
    one = encoder.encode_document(TEXTS[0], return_type="vectors")
    assert isinstance(one, SparseVector) and one == vectors[0]
    assert isinstance(vectors, SparseVectors) and vectors.shape == (3, 36864)
    assert encoder.encode_document(TEXTS[0], return_type="numpy").shape == (36864,)
    assert encoder.encode(TEXTS, return_type="vectors", convert_to_tensor=False) == list(vectors)


def test_max_active_dims_keeps_the_largest_weights(encoder, vectors):
    few = encoder.encode_document(TEXTS, max_active_dims=3, return_type="vectors")
    for row, whole in zip(few, vectors):
        assert row.by_weight() == whole.by_weight(3)
    assert SparseEncoder("mini-ja-en", max_active_dims=3).encode_document(TEXTS, return_type="vectors") == few


def test_prompts(demo, encoder):
    prompted = SparseEncoder(demo, prompts={"query": "朝: ", "other": "夜: "}, default_prompt_name="other")
    plain = SparseEncoder(demo)

    def of(model, method, text, **settings):
        return getattr(model, method)(text, return_type="vectors", **settings)

    assert of(prompted, "encode_query", "電車") == of(plain, "encode_query", "朝: 電車")
    assert of(prompted, "encode_document", "電車") == of(plain, "encode_document", "電車")
    assert of(prompted, "encode", "電車") == of(plain, "encode", "夜: 電車")
    assert of(prompted, "encode", "電車", prompt_name="query") == of(plain, "encode", "朝: 電車")
    assert of(prompted, "encode_query", "電車", prompt="") == of(plain, "encode_query", "電車")
    with pytest.raises(InvalidArgumentError, match="no prompt 'x'"):
        plain.encode("電車", prompt_name="x")
    with pytest.raises(InvalidArgumentError, match="no prompt 'x'"):
        SparseEncoder(demo, default_prompt_name="x")


def test_similarity_is_the_dot_product(encoder, vectors):
    dense = vectors.toarray().astype(np.float64)
    scores = encoder.similarity(vectors, vectors)
    assert scores.shape == (3, 3)
    # Sums of some ten products, rounded once to f32.
    np.testing.assert_allclose(scores, dense @ dense.T, rtol=1e-6)
    np.testing.assert_allclose(encoder.similarity_pairwise(vectors, vectors), np.diag(scores))
    assert vectors[0].dot(vectors[0]) == scores[0, 0]
    cosine = SparseEncoder("mini-ja-en", similarity_fn_name="cosine")
    np.testing.assert_allclose(
        np.diag(cosine.similarity(vectors, vectors)), [1, 1, 0 if len(vectors[2]) == 0 else 1], rtol=1e-6
    )


def test_forms_of_similarity(encoder, vectors):
    scores = encoder.similarity(vectors, vectors)
    forms = [vectors.toarray(), list(vectors), [list(row) for row in vectors.toarray()]]
    for form in forms:
        np.testing.assert_array_equal(encoder.similarity(form, vectors), scores)
    np.testing.assert_array_equal(encoder.similarity(vectors[0], vectors), scores[:1])


def test_decode_and_intersection(encoder, vectors):
    tokens = encoder.decode(vectors[0], top_k=3)
    assert [token for token, _ in tokens] == ["首都", "東京", "日本"]
    assert encoder.decode(vectors, top_k=3)[0] == tokens
    query = encoder.encode_query("日本の首都", return_type="vectors")
    shared = encoder.intersection(query, vectors[0])
    # What the terms give adds up to the score.
    assert math.isclose(shared.values.sum(), query.dot(vectors[0]), rel_tol=1e-6)
    many = encoder.intersection(query, vectors)
    assert many[0] == shared and len(many) == 3
    with pytest.raises(InvalidArgumentError, match="not one vector"):
        encoder.intersection(vectors, vectors)
    with pytest.raises(InvalidArgumentError, match="top_k is 0"):
        encoder.decode(vectors, top_k=0)


def test_sparsity(encoder, vectors):
    counts = [len(row) for row in vectors]
    want = {"active_dims": sum(counts) / 3, "sparsity_ratio": 1 - sum(counts) / 3 / 36864}
    assert encoder.sparsity(vectors) == pytest.approx(want)
    assert encoder.sparsity(vectors.toarray()) == pytest.approx(want)
    assert encoder.sparsity(vectors[0])["active_dims"] == counts[0]


def test_explain(encoder):
    explained = encoder.explain("東京の天気", "query")
    vector = encoder.encode_query("東京の天気", return_type="vectors")
    assert [(term, weight) for term, weight, _ in explained.terms] == vector.decode()
    assert all(token in explained.tokens for _, _, token in explained.terms)
    assert "東京" in str(explained) and "<table>" in explained._repr_html_()


def test_rows_of_a_matrix(vectors):
    dense = vectors.toarray()
    assert vectors[-1] == vectors[2]
    np.testing.assert_array_equal(vectors[1:].toarray(), dense[1:])
    np.testing.assert_array_equal(vectors[[2, 0, 0]].toarray(), dense[[2, 0, 0]])
    np.testing.assert_array_equal(vectors[0].toarray(), dense[0])
    assert vectors[0].to_dict() == {i: float(dense[0, i]) for i in dense[0].nonzero()[0]}
    with pytest.raises(IndexError):
        vectors[3]


def test_vectors_show_themselves(vectors):
    assert repr(vectors) == f"SparseVectors(3 rows, 36864 terms, {vectors.nnz} weights)"
    assert "首都 2.49" in repr(vectors[0])
    page = vectors[0]._repr_html_()
    assert "首都" in page and page.count("<tr>") == len(vectors[0])
    nasty = SparseVector(np.array([0], np.int32), np.array([1], np.float32), 1, ["<script>"])
    assert "<script>" not in nasty._repr_html_() and "<script>" not in nasty.as_matrix()._repr_html_()


def test_the_interface_of_sentence_transformers(encoder):
    assert encoder.get_embedding_dimension() == encoder.get_sentence_embedding_dimension() == 36864
    assert encoder.max_seq_length == encoder.get_max_seq_length() == 512
    assert set(encoder.tokenize(["a"])) == {"input_ids", "attention_mask"}
    assert encoder.similarity_fn_name == "dot"
    with pytest.raises(InvalidArgumentError, match="similarity_fn_name"):
        encoder.similarity_fn_name = "euclidean"


def test_a_saved_model_gives_the_same_vectors(encoder, vectors, tmp_path):
    encoder.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model/modules.json").is_file()
    assert SparseEncoder(tmp_path / "model").encode_document(TEXTS, return_type="vectors") == vectors


def test_pickling_by_name(encoder, vectors):
    again = pickle.loads(pickle.dumps(encoder))
    assert again.encode_document(TEXTS, return_type="vectors") == vectors
    assert pickle.loads(pickle.dumps(vectors)) == vectors


def test_tensors(encoder, vectors):
    torch = pytest.importorskip("torch")
    matrix = encoder.encode_document(TEXTS)
    assert matrix.is_sparse and matrix.is_coalesced() and tuple(matrix.shape) == (3, 36864)
    np.testing.assert_array_equal(matrix.to_dense().numpy(), vectors.toarray())
    dense = encoder.encode_document(TEXTS, convert_to_sparse_tensor=False)
    np.testing.assert_array_equal(dense.numpy(), vectors.toarray())
    one = encoder.encode_document(TEXTS[0])
    assert tuple(one.shape) == (36864,)
    assert encoder.decode(one, 3) == encoder.decode(vectors[0], 3)
    rows = encoder.encode_document(TEXTS, convert_to_tensor=False)
    assert isinstance(rows, list) and rows[0].is_sparse
    scores = encoder.similarity(matrix, dense)
    assert isinstance(scores, torch.Tensor)
    np.testing.assert_array_equal(scores.numpy(), encoder.similarity(vectors, vectors))
    shared = encoder.intersection(one, matrix)
    assert shared.is_sparse and tuple(shared.shape) == (3, 36864)
    assert encoder.sparsity(matrix) == pytest.approx(encoder.sparsity(vectors))


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError) as error:
        SparseEncoder(tmp_path)
    assert str(tmp_path) in str(error.value)
    again = pickle.loads(pickle.dumps(error.value))
    assert (type(again), str(again), again.hint) == (ModelError, str(error.value), error.value.hint)


def test_sentence_transformers_itself(root):
    """Where sentence-transformers 6 is installed: the same numbers in the same forms."""
    module = pytest.importorskip("sentence_transformers", minversion="6")
    folder = root.parent / "shared/models/splade-tiny"
    if not folder.is_dir():
        pytest.skip("there is no ../shared/models/splade-tiny")
    theirs = module.SparseEncoder(str(folder), device="cpu")
    encoder = SparseEncoder(folder)
    a, b = theirs.encode_document(TEXTS), encoder.encode_document(TEXTS)
    assert a.shape == b.shape and a.is_sparse == b.is_sparse and a.dtype == b.dtype
    # Sums in another order in f32.
    np.testing.assert_allclose(b.to_dense().numpy(), a.to_dense().numpy(), atol=2e-5)
    for settings in [{"max_active_dims": 3}, {"prompt": "東京: "}, {"convert_to_sparse_tensor": False}]:
        a, b = theirs.encode(TEXTS, **settings), encoder.encode(TEXTS, **settings)
        np.testing.assert_allclose(b.to_dense().numpy(), a.to_dense().numpy(), atol=2e-5)
    query = theirs.encode_query("Tokyo"), encoder.encode_query("Tokyo")
    documents = theirs.encode_document(TEXTS), encoder.encode_document(TEXTS)
    scores = [model.similarity(q, d) for model, q, d in zip((theirs, encoder), query, documents)]
    assert scores[0].shape == scores[1].shape
    np.testing.assert_allclose(scores[1].numpy(), scores[0].numpy(), rtol=1e-4)
    decoded = [model.decode(d, top_k=3) for model, d in zip((theirs, encoder), documents)]
    assert [[t for t, _ in row] for row in decoded[0]] == [[t for t, _ in row] for row in decoded[1]]
    shared = [model.intersection(q, d) for model, q, d in zip((theirs, encoder), query, documents)]
    np.testing.assert_allclose(shared[1].to_dense().numpy(), shared[0].to_dense().numpy(), atol=2e-5)
    sparsity = [model.sparsity(d) for model, d in zip((theirs, encoder), documents)]
    assert sparsity[1] == pytest.approx(sparsity[0])
    # A tensor of the one is an argument of the other.
    np.testing.assert_allclose(encoder.similarity(query[0], documents[0]).numpy(), scores[0].numpy(), rtol=1e-4)


def test_a_matrix_with_repeated_places_stays_as_it_is(encoder):
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(([1.0, 2.0, 3.0], [7, 7, 2], [0, 3]), shape=(1, 36864), dtype=np.float32)
    assert encoder.decode(matrix) == encoder.decode(matrix.toarray())
    assert matrix.nnz == 3
