"""Asks a service through the clients that people have, and compares their results with those of plain requests.

    pip install numpy openai qdrant-client huggingface-api-haystack llama-index-postprocessor-tei-rerank
    pip install langchain-huggingface numpy
    python scripts/serve/clients.py --binary target/release/light-splade

A client that is not installed is skipped; where two of them want different versions of a package, use two virtual
environments. The service is started with the built-in model and a small cross-encoder. The requests of Elasticsearch,
OpenSearch and Qdrant's server are recorded ones, written by hand after their sources (Elasticsearch's x-pack inference
plugin, OpenSearch's ml-commons and neural-search, Qdrant's src/common/inference), because no package registry has
these parts; the reply is read as these programs read it. Exit status 1 if a client fails.
"""

import argparse
import importlib.util
import os
import pathlib
import sys
import tempfile

from server import ROOT, Server, default_binary, table

KEY = "a key"
AUTHORIZATION = {"Authorization": f"Bearer {KEY}"}
TEXTS = ["東京は日本の首都です。", "大阪で万博が開かれます。", "Bread is baked in an oven."]
QUERY = "日本の首都"
CLIENTS = []


def client(*packages):
    """Marks a function as the test of a client that needs packages."""

    def mark(function):
        CLIENTS.append((function, packages))
        return function

    return mark


class Plain:
    """What plain requests give."""

    def __init__(self, server):
        self.server = server
        self.documents = [self.vector(text) for text in TEXTS]
        self.query = self.vector(QUERY, "query")
        self.ranks = self.ask("/rerank", {"query": QUERY, "texts": TEXTS})

    def ask(self, path, body, headers=AUTHORIZATION):
        status, _, reply = self.server.ask("POST", path, body, headers)
        assert status == 200, (path, status, reply)
        return reply

    def vector(self, text, side="document"):
        values = self.ask("/embed_sparse", {"inputs": text, "side": side})[0]
        return {value["index"]: value["value"] for value in values}


def near(a, b):
    """Whether two vectors are equal. Clients keep weights as 64-bit floats, which print and read back alike."""
    return a.keys() == b.keys() and all(abs(a[term] - b[term]) <= 1e-6 * abs(b[term]) for term in a)


def of_dense(vector):
    return {index: float(value) for index, value in enumerate(vector) if value}


@client("huggingface_hub", "numpy")
def huggingface_hub(url, plain):
    from huggingface_hub import InferenceClient

    inference = InferenceClient(model=url + "/embed", token=KEY)
    dense = inference.feature_extraction(TEXTS[0], normalize=False)
    assert near(of_dense(dense[0]), plain.documents[0])
    several = inference.feature_extraction(
        TEXTS, normalize=False, prompt_name="document", truncate=True, truncation_direction="right"
    )
    assert [near(of_dense(a), b) for a, b in zip(several, plain.documents)] == [True] * 3
    query = inference.feature_extraction(QUERY, normalize=False, prompt_name="query")
    assert near(of_dense(query[0]), plain.query)
    similar = InferenceClient(model=url + "/similarity", token=KEY).sentence_similarity(TEXTS[0], other_sentences=TEXTS)
    assert abs(similar[0] - 1) < 1e-5 and similar[1] < 1
    return "InferenceClient.feature_extraction on /embed, sentence_similarity on /similarity"


@client("haystack_integrations.components.embedders.huggingface_api")
def haystack_embedders(url, plain):
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.embedders.huggingface_api import (
        HuggingFaceTEISparseDocumentEmbedder,
        HuggingFaceTEISparseTextEmbedder,
    )

    token = Secret.from_token(KEY)
    document = HuggingFaceTEISparseDocumentEmbedder(api_base_url=url, token=token, progress_bar=False)
    embedded = document.run(documents=[Document(content=text) for text in TEXTS])["documents"]
    for found, wanted in zip(embedded, plain.documents, strict=True):
        assert near(dict(zip(found.sparse_embedding.indices, found.sparse_embedding.values)), wanted)
    query = HuggingFaceTEISparseTextEmbedder(api_base_url=url + "/query", token=token).run(QUERY)["sparse_embedding"]
    assert near(dict(zip(query.indices, query.values)), plain.query)
    return "HuggingFaceTEISparseDocumentEmbedder, HuggingFaceTEISparseTextEmbedder (with /query) on /embed_sparse"


@client("haystack_integrations.components.rankers.huggingface_api")
def haystack_ranker(url, plain):
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    ranker = HuggingFaceTEIRanker(url=url, token=Secret.from_token(KEY))
    ranked = ranker.run(query=QUERY, documents=[Document(content=text) for text in TEXTS])["documents"]
    assert [document.content for document in ranked] == [TEXTS[rank["index"]] for rank in plain.ranks]
    return "HuggingFaceTEIRanker on /rerank"


@client("langchain_huggingface", "numpy")
def langchain(url, plain):
    from huggingface_hub import InferenceClient
    from langchain_huggingface import HuggingFaceEndpointEmbeddings

    # LangChain takes no address for the model, but a client that has one.
    embeddings = HuggingFaceEndpointEmbeddings(
        model="light-splade/any", huggingfacehub_api_token=KEY, model_kwargs={"normalize": False}
    )
    embeddings.client = InferenceClient(model=url + "/embed", token=KEY)
    assert [near(of_dense(a), b) for a, b in zip(embeddings.embed_documents(TEXTS), plain.documents)] == [True] * 3
    embeddings.client = InferenceClient(model=url + "/query/embed", token=KEY)
    assert near(of_dense(embeddings.embed_query(QUERY)), plain.query)
    return "HuggingFaceEndpointEmbeddings on /embed"


@client("llama_index.postprocessor.tei_rerank")
def llama_index_rerank(url, plain):
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    rerank = TextEmbeddingInference(base_url=url, top_n=3, auth_token=AUTHORIZATION["Authorization"])
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]
    ranked = rerank.postprocess_nodes(nodes, query_bundle=QueryBundle(QUERY))
    assert [node.text for node in ranked] == [TEXTS[rank["index"]] for rank in plain.ranks]
    return "tei-rerank on /rerank"


@client("openai")
def openai(url, plain):
    from openai import BadRequestError, OpenAI, UnprocessableEntityError

    asked = OpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0)
    reply = asked.embeddings.create(model="mini-ja-en", input=TEXTS, encoding_format="float")
    for item, wanted in zip(reply.data, plain.documents, strict=True):
        # The library keeps fields that it does not know.
        found = {token["token_id"]: token["weight"] for token in item.model_extra["sparse_embedding"]}
        assert near(found, wanted)
    assert reply.usage.prompt_tokens > 0 and reply.model == "mini-ja-en"
    query = asked.embeddings.create(
        model="mini-ja-en", input=QUERY, encoding_format="float", extra_body={"side": "query"}
    )
    assert near(
        {token["token_id"]: token["weight"] for token in query.data[0].model_extra["sparse_embedding"]}, plain.query
    )
    # Without encoding_format the library asks for base64, which has no sparse form but is no mistake of the user.
    default = asked.embeddings.create(model="mini-ja-en", input=TEXTS[0])
    assert len(default.data[0].model_extra["sparse_embedding"]) == len(plain.documents[0])
    for wrong, kind in [("", BadRequestError), ([], BadRequestError), ([[2**31]], UnprocessableEntityError)]:
        try:
            asked.embeddings.create(model="mini-ja-en", input=wrong, encoding_format="float")
            raise AssertionError(f"{wrong} was accepted")
        except kind as error:
            assert error.body and "message" in error.body, error.body
    return "OpenAI().embeddings.create on /v1/embeddings"


@client("qdrant_client")
def qdrant_client(url, plain):
    from qdrant_client import QdrantClient, models

    qdrant = QdrantClient(":memory:")
    qdrant.create_collection("a", vectors_config={}, sparse_vectors_config={"splade": models.SparseVectorParams()})

    def recorded(inference, texts):
        inputs = [{"data": text, "data_type": "text", "model": "mini-ja-en", "options": None} for text in texts]
        reply = plain.ask("/qdrant", {"inputs": inputs, "inference": inference, "token": KEY}, {})
        return [models.SparseVector(**vector) for vector in reply["embeddings"]]

    points = [
        models.PointStruct(id=number, vector={"splade": vector})
        for number, vector in enumerate(recorded("update", TEXTS))
    ]
    qdrant.upsert("a", points)
    hits = qdrant.query_points("a", query=recorded("search", [QUERY])[0], using="splade", limit=3).points
    dots = [sum(weight * plain.query.get(term, 0) for term, weight in document.items()) for document in plain.documents]
    wanted = sorted(((score, number) for number, score in enumerate(dots) if score > 0), reverse=True)
    assert [hit.id for hit in hits] == [number for _, number in wanted]
    assert all(abs(hit.score - score) < 1e-4 * score for hit, (score, _) in zip(hits, wanted))
    return "a local collection with the vectors of /qdrant, in Qdrant's form"


@client()
def qdrant_server(url, plain):
    request = {
        "inputs": [{"data": text, "data_type": "text", "model": "mini-ja-en", "options": None} for text in TEXTS],
        "inference": "update",
        "token": KEY,
    }
    reply = plain.ask("/qdrant", request, {})
    for found, wanted in zip(reply["embeddings"], plain.documents, strict=True):
        assert near(dict(zip(found["indices"], found["values"], strict=True)), wanted)
    status, _, _ = plain.server.ask("POST", "/qdrant", {**request, "token": "wrong"})
    assert status == 401, status
    image = {
        **request,
        "inputs": [{"data": "https://example.com/a.png", "data_type": "image", "model": "mini-ja-en", "options": {}}],
    }
    status, _, reply = plain.server.ask("POST", "/qdrant", image)
    assert status == 400 and isinstance(reply["error"], str), (status, reply)
    return 'recorded requests: token in the body, errors as 400 with {"error": …}'


@client()
def elasticsearch_hugging_face(url, plain):
    headers = {"Content-Type": "application/json", **AUTHORIZATION}
    reply = plain.ask("/v1/token_weights", {"inputs": TEXTS}, headers)
    tokens = tokens_of(plain)
    for found, wanted in zip(reply, plain.documents, strict=True):
        assert all(isinstance(weight, float) for weight in found.values())
        assert near({tokens[token]: weight for token, weight in found.items()}, wanted)
    status, _, reply = plain.server.ask("POST", "/v1/token_weights", {"inputs": [""]}, headers)
    assert status == 400 and isinstance(reply["error"], str), "Elasticsearch shows the field `error`"
    return "recorded requests of the service hugging_face, task sparse_embedding"


@client()
def elasticsearch_custom(url, plain):
    tokens = tokens_of(plain)
    for side, text, wanted in [("document", TEXTS[0], plain.documents[0]), ("query", QUERY, plain.query)]:
        reply = plain.ask("/v1/sparse_embeddings", {"inputs": [text], "side": side})
        # The paths $.sparse_embeddings[*].embedding[*].token and .weight.
        found = [{item["token"]: item["weight"] for item in entry["embedding"]} for entry in reply["sparse_embeddings"]]
        assert near({tokens[token]: weight for token, weight in found[0].items()}, wanted)
    return "recorded requests of the service custom, with input_type as the side"


@client()
def opensearch(url, plain):
    tokens = tokens_of(plain)
    reply = plain.ask("/v1/token_weights?side=query", {"inputs": [QUERY]})
    # ml-commons puts an array under `response`; neural-search wants a list of maps of numbers there.
    response = {"response": reply}["response"]
    assert isinstance(response, list) and near(
        {tokens[token]: weight for token, weight in response[0].items()}, plain.query
    )
    reply = plain.ask("/v1/token_weights", {"inputs": [QUERY], "side": "query", "sparse_embedding_format": "token_id"})
    assert near({int(token): weight for token, weight in reply[0].items()}, plain.query)
    return "recorded requests of a connector, tokens and token ids"


# The options of text-embeddings-inference with the field of /info that shows each.
TEI_OPTIONS = {
    "model-id": (str(ROOT / "models/demo"), "model_id"),
    "tokenization-workers": ("2", None),
    "dtype": ("float32", "model_dtype"),
    "served-model-name": ("a name", "served_model_name"),
    "pooling": ("splade", None),
    "max-concurrent-requests": ("100", "max_concurrent_requests"),
    "max-batch-tokens": ("4096", "max_batch_tokens"),
    "max-batch-requests": ("8", "max_batch_requests"),
    "max-client-batch-size": ("16", "max_client_batch_size"),
    "auto-truncate": ("false", "auto_truncate"),
    "default-prompt-name": ("query", None),
    "dense-path": ("x", None),
    "hf-token": ("x", None),
    "hostname": ("127.0.0.1", None),
    "uds-path": ("elsewhere", None),
    "huggingface-hub-cache": ("elsewhere", None),
    "payload-limit": ("1000000", None),
    "api-key": (KEY, None),
    "otlp-endpoint": ("http://127.0.0.1:1", None),
    "otlp-service-name": ("x", None),
    "cors-allow-origin": ("https://example.com", None),
}
TEI_FLAGS = ["json-output", "disable-spans"]


@client()
def tei_options(url, plain):
    def shows(server):
        status, _, info = server.ask("GET", "/info", headers=AUTHORIZATION)
        assert status == 200 and server.ask("GET", "/info")[0] == 401
        for name, (value, field) in TEI_OPTIONS.items():
            assert field is None or str(info[field]).lower() == value, (name, info[field])

    options = [word for name, (value, _) in TEI_OPTIONS.items() for word in (f"--{name}", value)]
    with Server(plain.server.binary, *options, *[f"--{flag}" for flag in TEI_FLAGS]) as server:
        shows(server)
    # With the deprecated name of the token, and a default prompt in place of its name.
    others = {"hf-token": "hf-api-token", "default-prompt-name": "default-prompt"}
    variables = {others.get(name, name).upper().replace("-", "_"): value for name, (value, _) in TEI_OPTIONS.items()}
    variables |= {flag.upper().replace("-", "_"): "true" for flag in TEI_FLAGS}
    with Server(plain.server.binary, env=variables) as server:
        shows(server)
    return f"{len(TEI_OPTIONS) + len(TEI_FLAGS)} options, and their environment variables"


def tokens_of(plain):
    """Returns the id of each token of the vectors."""
    ids = {}
    for text in [*TEXTS, QUERY]:
        for side in ("query", "document"):
            for value in plain.ask("/embed_sparse", {"inputs": text, "side": side, "return_tokens": True})[0]:
                ids[value["token"]] = value["index"]
    return ids


def is_installed(package):
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path)
    arguments = parser.parse_args()
    binary = (arguments.binary or default_binary()).resolve()
    # Clients ask the service only.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.pop("HF_TOKEN", None)
    reranker = ROOT / "crates/splade-model/tests/fixtures/cross_encoders/bert-japanese"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        with Server(binary, "--api-key", KEY, "--reranker", reranker, log=log) as server:
            plain = Plain(server)
            for function, packages in CLIENTS:
                missing = [package for package in packages if not is_installed(package)]
                if missing:
                    rows.append((function.__name__, None, f"{missing[0]} is not installed"))
                    continue
                try:
                    rows.append((function.__name__, True, function(server.url, plain)))
                except Exception as error:
                    rows.append((function.__name__, False, f"{type(error).__name__}: {error}"[:300]))
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
