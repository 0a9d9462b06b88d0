"""Adapters, by their own methods, and with the real libraries where they are installed."""

import asyncio

import numpy as np
import pytest

TEXTS = ["日本の首都は東京です。", "大阪万博は2025年に開催されます。", "cheap flights to Tokyo"]
QUERY = "首都"


@pytest.fixture(scope="module")
def vectors(encoder):
    return encoder.encode_document(TEXTS, return_type="vectors")


@pytest.fixture(scope="module")
def query(encoder):
    return encoder.encode_query(QUERY, return_type="vectors")


def test_langchain(encoder, vectors, query):
    from light_splade_rs.adapters.langchain import SpladeSparseEmbeddings

    embeddings = SpladeSparseEmbeddings(encoder)
    documents = embeddings.embed_documents(TEXTS)
    assert [pair.indices for pair in documents] == [row.indices.tolist() for row in vectors]
    assert embeddings.embed_query(QUERY).values == query.values.tolist()
    assert asyncio.run(embeddings.aembed_documents(TEXTS)) == documents
    assert asyncio.run(embeddings.aembed_query(QUERY)) == embeddings.embed_query(QUERY)


def test_langchain_with_qdrant(encoder, vectors, query):
    qdrant = pytest.importorskip("langchain_qdrant")
    from light_splade_rs.adapters.langchain import SpladeSparseEmbeddings

    store = qdrant.QdrantVectorStore.from_texts(
        TEXTS,
        sparse_embedding=SpladeSparseEmbeddings(encoder),
        retrieval_mode=qdrant.RetrievalMode.SPARSE,
        location=":memory:",
    )
    [(document, score), *_] = store.similarity_search_with_score(QUERY, k=2)
    assert document.page_content == TEXTS[0]
    assert score == pytest.approx(query.dot(vectors[0]), rel=1e-5)


def test_llama_index(encoder, vectors, query):
    from light_splade_rs.adapters.llama_index import sparse_functions

    sparse_doc_fn, sparse_query_fn = sparse_functions(encoder)
    indices, values = sparse_doc_fn(TEXTS)
    assert indices == [row.indices.tolist() for row in vectors]
    assert values == [row.values.tolist() for row in vectors]
    assert sparse_query_fn([QUERY]) == ([query.indices.tolist()], [query.values.tolist()])


def test_llama_index_with_qdrant(encoder):
    stores = pytest.importorskip("llama_index.vector_stores.qdrant")
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
    from qdrant_client import QdrantClient

    from light_splade_rs.adapters.llama_index import sparse_functions

    sparse_doc_fn, sparse_query_fn = sparse_functions(encoder)
    store = stores.QdrantVectorStore(
        "notes",
        client=QdrantClient(location=":memory:"),
        enable_hybrid=True,
        sparse_doc_fn=sparse_doc_fn,
        sparse_query_fn=sparse_query_fn,
    )
    store.add([TextNode(text=text, embedding=[1.0, 0.0]) for text in TEXTS])
    found = store.query(
        VectorStoreQuery(
            query_str=QUERY,
            query_embedding=[1.0, 0.0],
            mode=VectorStoreQueryMode.SPARSE,
            sparse_top_k=1,
            similarity_top_k=1,
        )
    )
    assert [node.get_content() for node in found.nodes] == [TEXTS[0]]


def test_milvus(encoder, vectors):
    pytest.importorskip("scipy.sparse")
    from light_splade_rs.adapters.milvus import SpladeEmbeddingFunction

    embed = SpladeEmbeddingFunction(encoder)
    documents = embed.encode_documents(TEXTS)
    assert documents.shape == (3, embed.dim) and documents.format == "csr"
    np.testing.assert_array_equal(documents.toarray(), vectors.toarray())
    assert (embed(TEXTS) != documents).nnz == 0
    assert embed.encode_queries([QUERY]).shape == (1, embed.dim)


def test_milvus_takes_the_rows(encoder, vectors):
    entities = pytest.importorskip("pymilvus.client.entity_helper")
    from light_splade_rs.adapters.milvus import SpladeEmbeddingFunction

    documents = SpladeEmbeddingFunction(encoder).encode_documents(TEXTS)
    # The form in which the client sends a sparse vector: pairs of an id and a weight.
    sent = entities.sparse_rows_to_proto(documents)
    assert len(sent.contents) == 3 and sent.dim == 36864
    first = np.frombuffer(sent.contents[0], dtype=[("id", "<u4"), ("weight", "<f4")])
    assert first["id"].tolist() == vectors[0].indices.tolist()
    np.testing.assert_array_equal(first["weight"], vectors[0].values)


def test_haystack(vectors, query):
    haystack = pytest.importorskip("haystack")
    from haystack.core.serialization import component_from_dict, component_to_dict

    from light_splade_rs.adapters.haystack import SpladeDocumentEmbedder, SpladeTextEmbedder

    documents = [haystack.Document(content=text, meta={"title": "T"}) for text in TEXTS]
    embedder = SpladeDocumentEmbedder()
    embedded = embedder.run(documents)["documents"]
    assert [d.sparse_embedding.indices for d in embedded] == [row.indices.tolist() for row in vectors]
    assert documents[0].sparse_embedding is None, "the documents that came in are as they were"
    titled = SpladeDocumentEmbedder(meta_fields_to_embed=["title"])
    again = component_from_dict(SpladeDocumentEmbedder, component_to_dict(titled, "embedder"), "embedder")
    assert again.meta_fields_to_embed == ["title"]
    assert again.run(documents[:1])["documents"][0].sparse_embedding != embedded[0].sparse_embedding
    pipeline = haystack.Pipeline()
    pipeline.add_component("query", SpladeTextEmbedder())
    result = pipeline.run({"query": {"text": QUERY}})["query"]["sparse_embedding"]
    assert result.values == query.values.tolist()


def test_beir(encoder, vectors, query):
    from light_splade_rs.adapters.beir import SpladeSearch

    corpus = {str(at): {"title": "", "text": text} for at, text in enumerate(TEXTS)}
    retriever = SpladeSearch(encoder)
    results = retriever.search(corpus, {"q": QUERY, "0": TEXTS[0]}, top_k=2, score_function="dot")
    assert next(iter(results["q"])) == "0"
    assert results["q"]["0"] == pytest.approx(query.dot(vectors[0]), rel=1e-6)
    assert "0" not in results["0"], "a document with the query's id is left out"
    with pytest.raises(ValueError, match="cos_sim"):
        retriever.search(corpus, {}, 1, "cos_sim")
    np.testing.assert_array_equal(retriever.encode_corpus(list(corpus.values())), vectors.toarray())
    assert retriever.encode_queries([QUERY]).shape == (1, 36864)


def test_beir_evaluates(encoder, root):
    evaluation = pytest.importorskip("beir.retrieval.evaluation")
    from beir.datasets.data_loader import GenericDataLoader

    from light_splade_rs.adapters.beir import SpladeSearch

    corpus, queries, qrels = GenericDataLoader(str(root / "data/toy-beir")).load(split="test")
    retriever = evaluation.EvaluateRetrieval(SpladeSearch(encoder), score_function="dot")
    results = retriever.retrieve(corpus, queries)
    ndcg, _, _, _ = retriever.evaluate(qrels, results, [10])
    # The figure that `light-splade evaluate` prints for the same model and data.
    assert ndcg["NDCG@10"] == pytest.approx(0.7602, abs=1e-4)


def test_mteb(encoder, vectors, query):
    protocols = pytest.importorskip("mteb.models.models_protocols")
    from light_splade_rs.adapters.mteb import SpladeSearchModel

    model = SpladeSearchModel(encoder)
    assert isinstance(model, protocols.SearchProtocol)
    assert model.mteb_model_meta.name == "light-splade/mini-ja-en"
    model.index([{"id": str(at), "title": "", "text": text} for at, text in enumerate(TEXTS)])
    found = model.search([{"id": "q", "text": QUERY}], top_k=2)
    assert found["q"]["0"] == pytest.approx(query.dot(vectors[0]), rel=1e-6)
    ranked = model.search([{"id": "q", "text": QUERY}], top_k=2, top_ranked={"q": ["1"]})
    assert set(ranked["q"]) <= {"1"}


def test_pyterrier(encoder, vectors, query):
    pytest.importorskip("pyterrier")
    import pandas

    from light_splade_rs.adapters.pyterrier import SpladeDocuments, SpladeQueries

    table = pandas.DataFrame({"docno": ["a", "b", "c"], "text": TEXTS})
    documents = SpladeDocuments(encoder)(table)
    assert documents["toks"][0]["首都"] == round(100 * dict(vectors[0].decode())["首都"])
    queries = SpladeQueries(encoder)(pandas.DataFrame({"qid": ["q"], "query": [QUERY]}))
    assert queries["query_toks"][0] == dict(query.decode())
