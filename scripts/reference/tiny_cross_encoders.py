"""Makes tiny cross-encoders of every architecture, with PyTorch's logits and gradients.

    python scripts/reference/tiny_cross_encoders.py crates/splade-model/tests/fixtures/cross_encoders

The program writes one folder for each model, made like those of tiny_models.py, with expected.json. All numbers are
computed in f64 from the f32 weights, one pair at a time, without dropout:

    {"pairs": [[a, b], ...], "sigmoid": bool,
     "results": [{"input_ids": [...], "token_types": [...], "logits": [...]}],
     "gradients": {tensor: [norm, projection]}}

`sigmoid` says whether sentence-transformers' CrossEncoder applies a sigmoid. The loss of the gradients is
the sum of c * logit with c = ((7 * label + 13 * pair) mod 11 - 5) / 5; norm and projection are those
of tiny_gradients.py. DeBERTa-v2 has no gradients.
"""

import copy
import json
import shutil
import sys
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

import tiny_models as tiny
from small_vocabularies import TEXTS
from tiny_gradients import pattern
from tiny_models import BERT, DEBERTA, MODERNBERT, SMALL_BERT

LIMIT = 40
PAIRS = [(0, 9), (7, 8), (1, 10), (2, 4), (10, 10), (11, 12), (5, 2)]

IDENTITY = "torch.nn.modules.linear.Identity"
# Each entry is name: (tokenizer files, config class, its values).
MODELS = {
    "bert": (tiny.bert_files, BertConfig, SMALL_BERT | dict(
        num_labels=1, sentence_transformers={"activation_fn": IDENTITY})),
    "bert-two-labels": (tiny.bert_files_with_json, BertConfig,
                        SMALL_BERT | dict(num_labels=2, classifier_dropout=0.3)),
    "bert-japanese": (tiny.japanese_files, BertConfig, SMALL_BERT | dict(
        num_labels=1, sbert_ce_default_activation_function=IDENTITY)),
    "distilbert": (tiny.distilbert_files, DistilBertConfig, dict(
        dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=48, num_labels=1)),
    "roberta": (tiny.roberta_files, RobertaConfig, SMALL_BERT | dict(
        max_position_embeddings=50, pad_token_id=1, type_vocab_size=1, num_labels=1)),
    "xlm-roberta": (tiny.xlmr_files, XLMRobertaConfig, SMALL_BERT | dict(
        max_position_embeddings=50, pad_token_id=1, type_vocab_size=1, num_labels=3)),
    "electra": (tiny.electra_files, ElectraConfig, BERT | dict(
        embedding_size=16, num_attention_heads=3, num_labels=1)),
    "modernbert": (tiny.modernbert_files, ModernBertConfig, MODERNBERT | dict(num_labels=1)),
    "modernbert-mean": (tiny.modernbert_files, ModernBertConfig, MODERNBERT | dict(
        num_hidden_layers=2, global_attn_every_n_layers=2, num_labels=2, classifier_pooling="mean",
        classifier_bias=True, norm_bias=True, classifier_activation="silu",
        classifier_dropout=0.2)),
    "deberta-v2": (tiny.deberta_files, DebertaV2Config, DEBERTA | dict(
        type_vocab_size=2, num_labels=1, pooler_hidden_act="tanh")),
}


def encode(tokenizer, pair):
    # The pair is passed as a batch, because an empty second text alone would count as missing.
    got = tokenizer([list(pair)], truncation=True, max_length=LIMIT)
    return got["input_ids"][0], got.get("token_type_ids", [None])[0]


def logits(model, encoded):
    ids, types = encoded
    arguments = {} if types is None else {"token_type_ids": torch.tensor([types])}
    return model(input_ids=torch.tensor([ids]), **arguments).logits[0]


def gradients(model, pairs):
    model.zero_grad()
    loss = 0.0
    for number, encoded in enumerate(pairs):
        row = logits(model, encoded)
        loss = loss + (row * pattern(len(row), 7, 13 * number, 11, 5, 5)).sum()
    loss.backward()
    result = {}
    for name, parameter in model.named_parameters():
        flat = (parameter.grad if parameter.grad is not None else 0 * parameter).reshape(-1)
        projection = (flat * pattern(flat.numel(), 31, 0, 17, 8, 8)).sum().item()
        result[name] = [float(f"{flat.norm().item():.8g}"), float(f"{projection:.8g}")]
    return result


def check_sensitivity(model, pairs, expected):
    """Checks that every tensor changes the logits if it is set to zero (norm weights are set to one)."""
    unnoticed = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            kept = parameter.data.clone()
            parameter.data.fill_(1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)
            change = max(float((logits(model, pair) - want).abs().max())
                         for pair, want in zip(pairs, expected))
            parameter.data.copy_(kept)
            if change < 1e-3 and not name.endswith(("key.bias", "key_proj.bias", "k_lin.bias")):
                unnoticed.append(name)
    assert not unnoticed, f"tensors without effect: {unnoticed}"


def make(name, folder):
    files, config_class, values = MODELS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    vocab = files(folder, LIMIT)
    config = config_class(vocab_size=vocab, attn_implementation="eager", **values)
    kind = AutoModelForSequenceClassification
    model = kind.from_config(config, attn_implementation="eager").eval()
    tiny.randomise(model, name)
    model.save_pretrained(folder)

    model = kind.from_pretrained(folder, attn_implementation="eager").eval()
    exact = copy.deepcopy(model).double()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [(TEXTS[a], TEXTS[b]) for a, b in PAIRS]
    pairs = [encode(tokenizer, pair) for pair in texts]
    assert max(len(ids) for ids, _ in pairs) == LIMIT, "no pair reaches the limit"
    with torch.no_grad():
        rows = [logits(exact, pair) for pair in pairs]
        noise = max(float((logits(model, pair) - row).abs().max())
                    for pair, row in zip(pairs, rows))
    assert noise < 1e-5, f"f32 and f64 differ by {noise}"
    check_sensitivity(exact, pairs, rows)

    # sentence-transformers reads the same model.
    peer = CrossEncoder(str(folder), device="cpu")
    sigmoid = isinstance(peer.activation_fn, torch.nn.Sigmoid)
    got = peer.predict(texts, activation_fn=torch.nn.Identity(), convert_to_tensor=True)
    difference = float((got.reshape(len(rows), -1) - torch.stack(rows)).abs().max())
    assert difference < 1e-4, f"sentence-transformers differs by {difference}"

    results = [
        {"input_ids": ids, "token_types": types or [0] * len(ids),
         "logits": [float(f"{x:.9g}") for x in row.tolist()]}
        for (ids, types), row in zip(pairs, rows)
    ]
    expected = {"pairs": texts, "sigmoid": sigmoid, "results": results}
    if "deberta" not in name:
        expected["gradients"] = gradients(exact, pairs)
    rows = {key: json.dumps(value) for key, value in expected.items()}
    text = "{" + ",\n".join(f"{json.dumps(key)}: {row}" for key, row in rows.items()) + "}\n"
    (folder / "expected.json").write_text(text)
    print(f"{name}: {sum(path.stat().st_size for path in folder.iterdir())} bytes")


def main():
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or MODELS:
        make(name, out / name)


if __name__ == "__main__":
    main()
