"""Makes tiny masked language models of the architectures that transformers has since version 5, as tiny_models.py does.

    python scripts/reference/newer_models.py crates/splade-model/tests/fixtures/reference

It needs the packages of requirements-heads.txt. Three models are written in two ways: as transformers 5 saves them, and
with the config and the names of the custom code at the hub (`gte-ntk`, `nomic-bert-hub`). For the rotary positions of
`gte-ntk`, which transformers does not have, the angles are computed here from their definition: the base is multiplied
by the factor f, and every angle is divided by f^(2/d), for heads of d dimensions.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import GteConfig, ModernBertConfig, MPNetConfig, NomicBertConfig
from transformers.models.gte.modeling_gte import GteRotaryEmbedding

import tiny_models as tiny
from small_vocabularies import TEXTS
from tiny_models import LIMIT, MODERNBERT, SHORT, SMALL_BERT

FACTOR, THETA = 8.0, 20.0


def gemma_files(folder, limit):
    """Writes a tokenizer of the kind of Gemma's, which mmBERT has: BPE with bytes for what is unknown."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    bytes_of = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=460, special_tokens=special + bytes_of, show_progress=False, limit_alphabet=90
    )
    tokenizer.train_from_iterator([text for text in TEXTS if text.isascii()], trainer)
    ids = {token: tokenizer.token_to_id(token) for token in special}
    tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> $B <eos>",
        special_tokens=[(token, ids[token]) for token in ["<bos>", "<eos>"]],
    )
    value = json.loads(tokenizer.to_str())
    value["added_tokens"] = [added for added in value["added_tokens"] if added["content"] in special]
    (folder / "tokenizer.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    config = {
        "tokenizer_class": "GemmaTokenizerFast", "model_max_length": limit, "bos_token": "<bos>",
        "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>",
        "cls_token": "<bos>", "sep_token": "<eos>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return tokenizer.get_vocab_size()


HEADS = SMALL_BERT | dict(max_position_embeddings=LIMIT, pad_token_id=0)
MODELS = {
    "mpnet": (
        tiny.bert_files, MPNetConfig,
        SMALL_BERT | dict(max_position_embeddings=LIMIT + 2),
        LIMIT, SHORT,
    ),
    "gte": (tiny.bert_files, GteConfig, HEADS | dict(rope_parameters=dict(rope_type="default", rope_theta=THETA)), LIMIT, SHORT),
    "gte-ntk": (tiny.bert_files, GteConfig, HEADS | dict(type_vocab_size=0), LIMIT, SHORT),
    "nomic-bert": (tiny.bert_files, NomicBertConfig, HEADS, LIMIT, SHORT),
    "nomic-bert-hub": (tiny.bert_files, NomicBertConfig, HEADS, LIMIT, SHORT),
    "mmbert": (
        gemma_files, ModernBertConfig,
        MODERNBERT | dict(num_hidden_layers=2, pad_token_id=0, bos_token_id=2, cls_token_id=2,
                          eos_token_id=1, sep_token_id=1),
        64, SHORT,
    ),
}


def ntk_angles(config, device=None, **_):
    dim = config.hidden_size // config.num_attention_heads
    exponents = torch.arange(0, dim, 2, dtype=torch.float64) / dim
    angles = 1.0 / (THETA * FACTOR) ** exponents / FACTOR ** (2 / dim)
    return angles.float().to(device), 1.0


def as_at_the_hub(folder, prefix, old, settings):
    """Gives a saved model the config and the names of the custom code."""
    config = {"architectures": [f"{prefix.title()}ForMaskedLM"], **settings}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.replace(f"{old}.", f"{prefix}.", 1): tensor for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def make(name, folder):
    default = GteRotaryEmbedding.compute_default_rope_parameters
    if name == "gte-ntk":
        GteRotaryEmbedding.compute_default_rope_parameters = staticmethod(ntk_angles)
    tiny.make(name, folder)
    GteRotaryEmbedding.compute_default_rope_parameters = staticmethod(default)
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    if name == "gte-ntk":
        as_at_the_hub(folder, "new", "gte", dict(
            model_type="new", vocab_size=vocab, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=24, hidden_act="gelu", max_position_embeddings=LIMIT, type_vocab_size=0,
            layer_norm_eps=1e-12, layer_norm_type="layer_norm", position_embedding_type="rope", rope_theta=THETA,
            rope_scaling=dict(type="ntk", factor=FACTOR), pack_qkv=True, unpad_inputs=False,
            use_memory_efficient_attention=False, logn_attention_scale=False, logn_attention_clip1=False,
            classifier_dropout=None, pad_token_id=0,
        ))
    if name == "nomic-bert-hub":
        as_at_the_hub(folder, "bert", "nomic_bert", dict(
            model_type="nomic_bert", vocab_size=vocab, n_embd=16, n_head=2, n_layer=2, n_inner=24, n_positions=LIMIT,
            activation_function="swiglu", layer_norm_epsilon=1e-12, type_vocab_size=2, rotary_emb_base=1000,
            rotary_emb_fraction=1.0, rotary_emb_interleaved=False, rotary_emb_scale_base=None,
            rotary_scaling_factor=None, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False, causal=False,
            prenorm=False, parallel_block=False, use_rms_norm=False, scale_attn_weights=True, use_flash_attn=True,
            pad_vocab_size_multiple=1, max_trained_positions=2048, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
        ))


def main():
    torch.set_num_threads(1)
    tiny.MODELS.update(MODELS)
    out = Path(sys.argv[1])
    for name in sys.argv[2:] or MODELS:
        make(name, out / name)


if __name__ == "__main__":
    main()
