"""Makes heads for tiny bodies, with the vectors that the original libraries compute.

    python scripts/reference/heads.py crates/splade-model/tests/fixtures

It needs the packages of requirements-heads.txt. For every head of the table below, the program puts a body of
`reference/` (made by tiny_models.py) into a folder with seeded weights of the head, as sentence-transformers, PyLate,
colbert-ai or FlagEmbedding save it, and writes the files that the body does not have to `heads/NAME`, with

    expected.json: {"body": name, "dim": d, "query": [[[…], …], …], "document": [...], "similarity": [...]}

For each of the texts there is a list of rows: one for a dense vector, one for each token otherwise. `similarity` has the
scores of query i with document i + 1. Everything is computed in f64 from the f32 weights, one text at a time.
"""

import json
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling

from small_vocabularies import TEXTS

USED = [TEXTS[i] for i in [0, 1, 2, 4, 8, 10]]
PROMPTS = {"query": "the rain: ", "document": "old bridge "}


def seeded(name, *shape):
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5


def dense_layer(name, inputs, outputs, activation, bias=True, **more):
    layer = Dense(inputs, outputs, bias=bias, activation_function=activation, **more)
    for key, parameter in layer.named_parameters():
        parameter.data.copy_(seeded(f"{name}/{key}", *parameter.shape))
    return layer


def rows(vectors):
    """Rounds to f32 and writes the shortest decimals, a list of rows for each text."""
    def numbers(row):
        return [float(str(x)) for x in np.asarray(row, dtype=np.float64).astype(np.float32)]
    return [[numbers(row) for row in np.atleast_2d(text)] for text in vectors]


class Folder:
    """A temporary folder with a body."""

    def __init__(self, out, body):
        self.out, self.body = out, body
        self.path = Path(tempfile.mkdtemp())
        for file in (out / "reference" / body).iterdir():
            if file.name != "expected.json":
                shutil.copy(file, self.path)

    def keep(self, name, saved):
        """Copies what the body does not have to the fixtures."""
        to = self.out / "heads" / name
        shutil.rmtree(to, ignore_errors=True)
        for file in sorted(saved.rglob("*")):
            relative = file.relative_to(saved)
            is_body = len(relative.parts) == 1 and file.name in BODY
            if file.is_file() and not is_body and file.name != "README.md":
                (to / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, to / relative)
        return to


BODY = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
        "special_tokens_map.json"}


def write(to, body, query, document, scores):
    dim = len(query[0][0])
    lines = ",\n".join(json.dumps(text, separators=(",", ":")) for text in query)
    others = ",\n".join(json.dumps(text, separators=(",", ":")) for text in document)
    texts = json.dumps(USED, ensure_ascii=True)
    scores = json.dumps([float(score) for score in scores])
    (to / "expected.json").write_text(
        f'{{"body": "{body}", "dim": {dim}, "texts": {texts}, "similarity": {scores}, "query": [\n{lines}\n],\n'
        f'"document": [\n{others}\n]}}\n', encoding="utf-8")
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    print(to.name, size, "bytes, dim", dim, "rows", [len(text) for text in query], [len(text) for text in document])


def compute(model):
    """Returns the vectors of queries and documents, computed one text at a time, and the scores."""
    model = model.double()
    def all_of(encode):
        return [encode(text, convert_to_numpy=True, show_progress_bar=False) for text in USED]
    query, document = all_of(model.encode_query), all_of(model.encode_document)
    pairs = zip(query, document[1:])
    scores = [model.similarity(q, d) if q.ndim == 1 else model.similarity([q], [d]) for q, d in pairs]
    return rows(query), rows(document), [torch.as_tensor(score).reshape(-1)[0].item() for score in scores]


def dense(out, name, body, modules, prompts=None, similarity=None, max_seq_length=48):
    folder = Folder(out, body)
    first = Transformer(str(folder.path), max_seq_length=max_seq_length)
    model = SentenceTransformer(
        modules=[first, *modules(first.get_embedding_dimension())], device="cpu", prompts=prompts,
        similarity_fn_name=similarity,
    )
    saved = Path(tempfile.mkdtemp())
    model.save(str(saved))
    to = folder.keep(name, saved)
    write(to, body, *compute(model))
    return to


def pooled(mode):
    return lambda hidden: [Pooling(hidden, pooling_mode=mode)]


def old_dense(out):
    """The files of sentence-transformers 2: flags of poolings, weights of torch.save, a prompt that is not pooled."""
    def modules(hidden):
        return [
            Pooling(hidden, pooling_mode=("cls", "mean"), include_prompt=False),
            dense_layer("old", 2 * hidden, 10, torch.nn.Tanh()),
        ]
    to = dense(out, "dense-old", "bert-relu", modules, prompts=PROMPTS, similarity="dot", max_seq_length=24)
    config = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True,
              "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False, "include_prompt": False}
    (to / "1_Pooling" / "config.json").write_text(json.dumps(config))
    weights = load_file(to / "2_Dense" / "model.safetensors")
    torch.save(weights, to / "2_Dense" / "pytorch_model.bin")
    (to / "2_Dense" / "model.safetensors").unlink()
    (to / "2_Dense" / "config.json").write_text(json.dumps(
        {"in_features": 32, "out_features": 10, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}))
    listed = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Dense", "Dense")]
    (to / "modules.json").write_text(json.dumps(
        [{"idx": int(n), "name": n, "path": path, "type": f"sentence_transformers.models.{kind}"} for n, path, kind in listed]))
    (to / "sentence_bert_config.json").write_text('{"max_seq_length": 24, "do_lower_case": false}')


def multi_vector(out, name, expansion, mean, skip, tasks):
    folder = Folder(out, "bert-relu")
    first = Transformer(
        str(folder.path), query_expansion=expansion, document_length=20,
        **({} if expansion["strategy"] == "fixed" else {"query_length": 16}),
    )
    model = MultiVectorEncoder(modules=[
        first,
        dense_layer(name, 16, 12, torch.nn.Identity(), bias=False, module_input_name="token_embeddings"),
        MultiVectorMask(skiplist_words=skip, skiplist_tasks=tasks),
        Normalize(module_input_name="token_embeddings"),
    ], device="cpu", prompts=PROMPTS if mean else None, similarity_fn_name="meanmaxsim" if mean else "maxsim")
    saved = Path(tempfile.mkdtemp())
    model.save(str(saved))
    write(folder.keep(name, saved), folder.body, *compute(model))


def pylate(out):
    """The files of PyLate 1: markers, lengths and the skip list in the config of the whole model."""
    folder = Folder(out, "bert-relu")
    layer = dense_layer("pylate", 16, 8, torch.nn.Identity(), bias=False)
    (folder.path / "1_Dense").mkdir()
    save_file({"linear.weight": layer.linear.weight.data}, folder.path / "1_Dense" / "model.safetensors")
    put = lambda name, value: (folder.path / name).write_text(json.dumps(value))
    put("1_Dense/config.json", {"in_features": 16, "out_features": 8, "bias": False,
                                "activation_function": "torch.nn.modules.linear.Identity"})
    put("modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}])
    put("sentence_bert_config.json", {"max_seq_length": 17, "do_lower_case": False})
    # Words of the tiny vocabulary serve as markers. sentence-transformers puts them before the text instead of
    # inserting a token, so it needs a blank.
    config = {
        "model_type": "ColBERT", "__version__": {"sentence_transformers": "5.1.0"}, "prompts": {},
        "default_prompt_name": None, "similarity_fn_name": "MaxSim", "query_prefix": "night",
        "document_prefix": "river", "query_length": 14, "document_length": 18, "attend_to_expansion_tokens": False,
        "skiplist_words": [".", ",", ";"], "do_query_expansion": True}
    put("config_sentence_transformers.json", config | {"query_prefix": "night ", "document_prefix": "river "})
    model = MultiVectorEncoder(str(folder.path), device="cpu")
    put("config_sentence_transformers.json", config)
    write(folder.keep("pylate", folder.path), folder.body, *compute(model))


def colbert(out):
    """The files of colbert-ai: the projection in the file of the body. The body is that of `bert-relu`."""
    folder = Folder(out, "bert-relu")
    weights = load_file(folder.path / "model.safetensors")
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("cls.")}
    weights["linear.weight"] = seeded("colbert", 8, 16)
    save_file(weights, folder.path / "model.safetensors", {"format": "pt"})
    config = json.loads((folder.path / "config.json").read_text())
    (folder.path / "config.json").write_text(json.dumps(config | {"architectures": ["HF_ColBERT"]}, indent=1))
    (folder.path / "artifact.metadata").write_text(json.dumps({
        "query_token_id": "night", "doc_token_id": "river", "query_token": "[Q]", "doc_token": "[D]",
        "query_maxlen": 12, "doc_maxlen": 18, "dim": 8, "mask_punctuation": True, "attend_to_mask_tokens": False,
        "similarity": "cosine", "checkpoint": "x", "nbits": 1}, indent=1))
    model = MultiVectorEncoder(str(folder.path), device="cpu")
    to = folder.keep("colbert-ai", folder.path)
    for file in ["config.json", "model.safetensors"]:
        shutil.copy(folder.path / file, to)
    write(to, folder.body, *compute(model))


def bge_m3(out):
    """The files of BGE-M3. heads_of_others.py adds the vectors of the heads that only FlagEmbedding has."""
    def modules(hidden):
        return [Pooling(hidden, pooling_mode="cls"), Normalize()]
    to = dense(out, "bge-m3", "xlm-roberta", modules)
    hidden = 16
    for name, layer in [("sparse", torch.nn.Linear(hidden, 1)), ("colbert", torch.nn.Linear(hidden, hidden))]:
        for key, parameter in layer.named_parameters():
            parameter.data.copy_(seeded(f"{name}/{key}", *parameter.shape))
        torch.save(layer.state_dict(), to / f"{name}_linear.pt")


def main():
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    for mode in Pooling.POOLING_MODES:
        dense(out, f"dense-{mode}", "bert-relu", pooled(mode))
    dense(out, "dense-projected", "bert-relu", lambda hidden: [
        Pooling(hidden, pooling_mode=("mean", "max")),
        dense_layer("projected", 2 * hidden, 12, torch.nn.GELU(), use_residual=True),
        dense_layer("again", 12, 12, torch.nn.Identity(), bias=False, use_residual=True),
        Normalize(),
    ], prompts=PROMPTS)
    old_dense(out)
    multi_vector(out, "multi-vector", {"strategy": "fixed", "attend": False, "length": 14}, False, [".", ","], ["document"])
    multi_vector(out, "multi-vector-min", {"strategy": "min", "attend": True, "length": 9, "token": "train"}, True,
                 ["the", "unknown word"], ["query", "document"])
    pylate(out)
    colbert(out)
    bge_m3(out)


if __name__ == "__main__":
    main()
