"""Makes tiny masked language models of every architecture, and the vectors that PyTorch computes.

    python scripts/reference/tiny_models.py crates/splade-model/tests/fixtures/reference

The program writes one folder for each model, with config.json, model.safetensors (f32), tokenizer files and
expected.json. The weights are random but seeded by the names of the model and the tensor. Biases and norms are random
too, and `check_sensitivity` proves that no tensor can be left out unnoticed. The expected values are computed in f64
from the f32 weights, one text at a time, and rounded to f32:

    {"model": name, "max_tokens": limit, "texts": [...],
     "results": [{"input_ids": [...],
                  "max": {"indices": [...], "values": [...], "positions": [...]},
                  "sum": {"indices": [...], "values": [...]}}]}

`positions` are the token positions of the largest logit, the first position among equal logits. A position is null if
the second largest logit is within 1e-4, because rounding then decides.
"""

import copy
import json
import math
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

import small_vocabularies as small
from small_vocabularies import TEXTS

BERT_SPECIAL = {
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
    "pad_token": "[PAD]",
    "sep_token": "[SEP]",
    "unk_token": "[UNK]",
}
ROBERTA_SPECIAL = {
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
# The texts of the variants: Japanese, empty, accents, repetition, and one beyond the limit.
SHORT = [0, 1, 2, 8, 10]
ALL = list(range(len(TEXTS)))
LIMIT = 48

BERT = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=LIMIT,
)
SMALL_BERT = BERT | dict(hidden_size=16, intermediate_size=24)
DEBERTA = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=64, relative_attention=True, position_buckets=8,
    max_relative_positions=-1, share_att_key=True, pos_att_type=["p2c", "c2p"],
    norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0,
)
MODERNBERT = dict(
    hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=64, global_attn_every_n_layers=3, local_attention=8,
    cls_token_id=0, bos_token_id=0, pad_token_id=1, sep_token_id=2, eos_token_id=2,
)


def bert_files(folder, limit):
    """Writes only vocab.txt."""
    return small.write_wordpiece(folder, "BertTokenizer", limit)


def bert_files_with_json(folder, limit):
    """Writes vocab.txt and the tokenizer.json that transformers makes from it."""
    size = small.write_wordpiece(folder, "BertTokenizer", limit)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    (folder / "special_tokens_map.json").unlink()
    return size


def japanese_files(folder, limit):
    return small.write_wordpiece(
        folder, "BertJapaneseTokenizer", limit, japanese=True, lower=False
    )


def distilbert_files(folder, limit):
    return small.write_wordpiece(folder, "DistilBertTokenizer", limit)


def electra_files(folder, limit):
    return small.write_wordpiece(folder, "ElectraTokenizer", limit)


def roberta_files(folder, limit):
    return small.write_byte_bpe(folder, ROBERTA_SPECIAL, "RobertaTokenizer", limit, False, True)


def xlmr_files(folder, limit):
    return small.write_unigram(folder, ROBERTA_SPECIAL, "XLMRobertaTokenizer", limit)


def camembert_files(folder, limit):
    return small.write_unigram(folder, ROBERTA_SPECIAL, "CamembertTokenizer", limit)


def modernbert_files(folder, limit):
    special = {role: BERT_SPECIAL[role] for role in ROBERTA_SPECIAL}
    return small.write_byte_bpe(folder, special, "PreTrainedTokenizerFast", limit, False, False)


def deberta_files(folder, limit):
    special = {role: BERT_SPECIAL[role] for role in
               ["pad_token", "cls_token", "sep_token", "unk_token", "mask_token"]}
    return small.write_unigram(folder, special, "DebertaV2Tokenizer", limit)


# DeBERTa's newer head (legacy false) always uses the word embeddings; `tie_word_embeddings` has to
# be false, or transformers ties them to the head's dense layer instead.
# Each entry is name: (tokenizer files, config class, its values, limit in tokens, texts).
MODELS = {
    "bert": (bert_files_with_json, BertConfig, BERT, LIMIT, ALL),
    "bert-japanese": (japanese_files, BertConfig, BERT, LIMIT, ALL),
    "bert-gelu-new": (bert_files, BertConfig, SMALL_BERT | dict(hidden_act="gelu_new"), LIMIT, SHORT),
    "bert-gelu-tanh": (bert_files, BertConfig, SMALL_BERT | dict(hidden_act="gelu_pytorch_tanh"), LIMIT, SHORT),
    "bert-relu": (bert_files, BertConfig, SMALL_BERT | dict(hidden_act="relu"), LIMIT, SHORT),
    "bert-silu": (bert_files, BertConfig, SMALL_BERT | dict(hidden_act="silu"), LIMIT, SHORT),
    "bert-untied": (bert_files, BertConfig, SMALL_BERT | dict(tie_word_embeddings=False), LIMIT, SHORT),
    "distilbert": (
        distilbert_files, DistilBertConfig,
        dict(dim=24, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=LIMIT),
        LIMIT, ALL,
    ),
    "roberta": (
        roberta_files, RobertaConfig,
        SMALL_BERT | dict(max_position_embeddings=LIMIT + 2, pad_token_id=1, type_vocab_size=1),
        LIMIT, ALL,
    ),
    "xlm-roberta": (
        xlmr_files, XLMRobertaConfig,
        SMALL_BERT | dict(max_position_embeddings=LIMIT + 2, pad_token_id=1, type_vocab_size=1),
        LIMIT, ALL,
    ),
    "camembert": (
        camembert_files, CamembertConfig,
        SMALL_BERT | dict(max_position_embeddings=LIMIT + 2, pad_token_id=1, type_vocab_size=1,
                          tie_word_embeddings=False),
        LIMIT, SHORT,
    ),
    "electra": (
        electra_files, ElectraConfig, BERT | dict(embedding_size=16, num_attention_heads=3),
        LIMIT, ALL,
    ),
    "modernbert": (modernbert_files, ModernBertConfig, MODERNBERT, 64, ALL),
    "modernbert-biases": (
        modernbert_files, ModernBertConfig,
        MODERNBERT | dict(
            num_hidden_layers=2, global_attn_every_n_layers=2, local_attention=6,
            attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True,
            decoder_bias=False, tie_word_embeddings=False, hidden_activation="silu",
            classifier_activation="gelu_pytorch_tanh", global_rope_theta=500.0,
            local_rope_theta=50.0, norm_eps=1e-3,
        ),
        64, [2, 8, 10],
    ),
    "deberta-v2": (deberta_files, DebertaV2Config, DEBERTA, 64, ALL),
    "deberta-v2-conv": (
        deberta_files, DebertaV2Config,
        DEBERTA | dict(conv_kernel_size=3, conv_act="gelu", embedding_size=12), 64, SHORT,
    ),
    "deberta-v2-unshared": (
        deberta_files, DebertaV2Config,
        DEBERTA | dict(share_att_key=False, norm_rel_ebd="none", position_biased_input=True,
                       type_vocab_size=2), 64, SHORT,
    ),
    "deberta-v2-no-buckets": (
        deberta_files, DebertaV2Config,
        DEBERTA | dict(position_buckets=-1, max_relative_positions=10, pos_att_type="c2p"),
        64, SHORT,
    ),
    "deberta-v2-p2c": (
        deberta_files, DebertaV2Config,
        DEBERTA | dict(pos_att_type="p2c", position_buckets=4, max_relative_positions=32,
                       share_att_key=False, legacy=False, tie_word_embeddings=False), 64, SHORT,
    ),
    "deberta-v2-absolute": (
        deberta_files, DebertaV2Config,
        DEBERTA | dict(relative_attention=False, position_biased_input=True,
                       position_buckets=-1, norm_rel_ebd="none"), 64, SHORT,
    ),
}


def randomise(model, seed):
    """Fills every parameter. The scales make attention selective and positions matter."""
    norms = {
        f"{name}.weight" for name, module in model.named_modules()
        if isinstance(module, torch.nn.LayerNorm)
    }
    vocab = model.config.vocab_size
    # ModernBERT adds up its layers without norms between them, which increases rounding errors.
    gain = 0.8 if model.config.model_type == "modernbert" else 1.4
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))
            values = torch.randn(parameter.shape, generator=generator)
            if name in norms:
                values = 1 + 0.3 * values
            elif parameter.dim() == 1:
                values = values if parameter.shape[0] == vocab else 0.3 * values
            elif "embeddings" in name and parameter.shape[0] == vocab:
                values = 0.6 * values
            elif "embeddings" in name and "projection" not in name:
                values = 0.5 * values
            else:
                values = gain * values / math.sqrt(values[0].numel())
            parameter.copy_(values)


def thin_out(model, ids):
    """Lowers the decoder's bias until the vector of `ids` has a fifth of the terms."""
    largest = logits(model, ids).max(dim=0).values
    for parameter in model.parameters():
        if parameter.shape == largest.shape:
            parameter.data -= round(float(largest.quantile(0.8)), 1)


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]  # (tokens, vocab)


def pool(values):
    """Pools the (tokens, vocab) logits and returns the max-pooled and the sum-pooled weights."""
    weights = torch.log1p(torch.relu(values))
    return weights.max(dim=0).values, weights.sum(dim=0)


def rounded(values):
    """Returns the shortest decimals that are read as the same f32."""
    return [float(str(value)) for value in values.numpy().astype(np.float32)]


def sparse(weights):
    indices = torch.nonzero(weights > 0)[:, 0]
    return {"indices": indices.tolist(), "values": rounded(weights[indices])}


def positions(values, indices):
    """Returns the first position of each term's largest logit, or None if the second largest is as large."""
    found = []
    for term in indices:
        column = values[:, term]
        first = int(torch.argmax(column))
        column = torch.cat([column[:first], column[first + 1:]])
        near = len(column) > 0 and float(values[first, term] - column.max()) < 1e-4
        found.append(None if near else first)
    return found


def check_sensitivity(model, all_ids, expected):
    """Checks that every tensor changes the vectors if it is set to zero (norm weights are set to one)."""
    unnoticed = []
    for name, parameter in model.named_parameters():
        kept = parameter.data.clone()
        parameter.data.fill_(1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)
        change = max(
            float((pool(logits(model, ids))[0] - want).abs().max())
            for ids, want in zip(all_ids, expected)
        )
        parameter.data.copy_(kept)
        # Softmax does not change if the same number is added to all scores of a query. This concerns a key's bias
        # and, if only contents attend to positions (c2p), the bias of the position table's norm.
        softmax_invariant = name.endswith(
            ("key.bias", "key_proj.bias", "k_lin.bias", "attn.k.bias", "k_proj.bias")
        ) or (
            name == "deberta.encoder.LayerNorm.bias" and model.config.pos_att_type == ["c2p"]
        )
        if change < 1e-2 and not softmax_invariant:
            unnoticed.append(name)
    assert not unnoticed, f"tensors without effect: {unnoticed}"


def make(name, folder):
    files, config_class, values, limit, chosen = MODELS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    vocab = files(folder, limit)
    config = config_class(vocab_size=vocab, attn_implementation="eager", **values)
    model = AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()
    randomise(model, name)
    thin_out(model, AutoTokenizer.from_pretrained(folder)(TEXTS[0])["input_ids"])
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    # The model is read from the file, so that the saved weights are compared.
    model = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    exact = copy.deepcopy(model).double()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [TEXTS[i] for i in chosen]
    results, ids_of_texts, maxima, noise = [], [], [], 0.0
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        row = logits(exact, ids)
        largest, total = pool(row)
        noise = max(noise, float((pool(logits(model, ids))[0] - largest).abs().max()))
        entry = sparse(largest)
        entry["positions"] = positions(row, entry["indices"])
        results.append({"input_ids": ids, "max": entry, "sum": sparse(total)})
        ids_of_texts.append(ids)
        maxima.append(largest)
    assert noise < 1e-5, f"f32 and f64 differ by {noise}"
    assert max(map(len, ids_of_texts)) == limit, "no text reaches the limit"
    check_sensitivity(exact, ids_of_texts, maxima)
    write_expected(folder / "expected.json", {
        "model": name, "max_tokens": limit, "texts": texts, "results": results,
    })
    terms = [len(result["max"]["indices"]) for result in results]
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {size} bytes, vocabulary {vocab}, terms {terms}, f32 noise {noise:.1e}")


def write_expected(path, value):
    """Writes JSON with one result a line."""
    head = {key: item for key, item in value.items() if key != "results"}
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in value["results"])
    text = json.dumps(head, ensure_ascii=True)[:-1] + ', "results": [\n' + rows + "\n]}\n"
    path.write_text(text, encoding="utf-8")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: tiny_models.py OUT [MODEL…]")
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or MODELS:
        make(name, out / name)


if __name__ == "__main__":
    main()
