"""Trains the demo model, a tiny bilingual SPLADE, from nothing on the toy data.

    python scripts/reference/demo_model.py data models/demo \
        crates/splade-model/tests/fixtures/reference/demo.json

It shows what the tool does and fits into the repository; it is no search model. The vocabulary is
every word of the toy texts, so the model knows nothing else. Two stages, both in one thread and
seeded:

1. masked language modelling on the notes, alone and as a pair of translations;
2. SPLADE: a query's dot product with its note against those with the other notes of the batch,
   plus FLOPS regularisation. Queries are those of the toy data, titles, translations, and a few
   words picked out of a note.

Symbols: B texts of a batch, N tokens, V terms of the vocabulary. The third argument receives
vectors of DEMO_TEXTS in the format of tiny_models.py.
"""

import copy
import json
import math
import random
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.models import MLMTransformer, SpladePooling
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, BertJapaneseTokenizer
from transformers.models.bert_japanese.tokenization_bert_japanese import MecabTokenizer

from tiny_models import logits, pool, positions, sparse, write_expected

LIMIT = 128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, CLS, SEP, MASK = 0, 2, 3, 4

DEMO_TEXTS = [
    "終電は何時に駅を出ますか",
    "What time does the last train leave the station?",
    "海の見えるホテルを予約する",
    "a hotel room with a view of the sea",
    "風邪で熱がある時は休みましょう。",
    "rain and fog in the morning",
    "Tomatoes grow in large pots on the balcony.",
    "鍋でご飯を炊く",
    "read the error message before you change the program",
    "😀",
    "",
]


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def load_toy(data, split):
    """Notes as {doc_id: (title, text)}, queries {qid: text}, positives {qid: [doc_id]}."""
    corpus = {row["_id"]: row["title"] for row in rows(data / "toy-beir" / "corpus.jsonl")}
    folder = data / "toy" / split
    notes = {
        row["doc_id"]: (corpus[f"d{row['doc_id']}"], row["text"])
        for row in rows(folder / "doc_master.ndjson")
    }
    queries = {row["qid"]: row["text"] for row in rows(folder / "query_master.ndjson")}
    positives = {
        row["qid"]: row["positive_doc_ids"] for row in rows(folder / "positive_lists.ndjson")
    }
    return notes, queries, positives


def make_tokenizer(folder, texts):
    """Every word that MeCab finds in the texts, then the characters to spell other words with."""
    mecab = MecabTokenizer(do_lower_case=True, mecab_dic="unidic_lite")
    words = sorted({word for text in texts for word in mecab.tokenize(text)})
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + [str(n) for n in range(10)]
    kana = [chr(c) for c in range(0x3041, 0x3094)] + [chr(c) for c in range(0x30A1, 0x30F7)]
    kanji = sorted({c for word in words for c in word if "\u4e00" <= c <= "\u9fff"})
    spelling = letters + kana + ["ー"]
    vocabulary = SPECIAL + words + spelling + kanji + [f"##{c}" for c in spelling + kanji]
    vocabulary = list(dict.fromkeys(vocabulary))
    path = Path(folder) / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    return BertJapaneseTokenizer(
        str(path), do_lower_case=True, word_tokenizer_type="mecab",
        subword_tokenizer_type="wordpiece", mecab_kwargs={"mecab_dic": "unidic_lite"},
        model_max_length=LIMIT,
    )


def pad(texts):
    """Lists of ids to ids (B, N) and mask (B, N)."""
    length = max(map(len, texts))
    ids = torch.tensor([text + [PAD] * (length - len(text)) for text in texts])
    return ids, (ids != PAD).long()


def masked(ids, mask, vocab, generator):
    """BERT's masking: of 15 % of the tokens 80 % hidden, 10 % replaced, 10 % kept."""
    draw = torch.rand(ids.shape, generator=generator)
    chosen = (draw < 0.15) & (ids >= len(SPECIAL)) & mask.bool()
    labels = torch.where(chosen, ids, -100)
    kind = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(len(SPECIAL), vocab, ids.shape, generator=generator)
    hidden = torch.where(chosen & (kind < 0.8), MASK, ids)
    return torch.where(chosen & (kind >= 0.9), noise, hidden), labels


def train(model, texts, learning_rate, steps, loss_of_step):
    """AdamW with warm-up over a tenth of the steps, then linear decay to zero."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps))
    )
    model.train()
    for step in range(steps):
        loss = loss_of_step(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 0 or step == steps - 1:
            print(f"{texts} step {step}: loss {float(loss):.3f}", file=sys.stderr)
    model.eval()


def train_mlm(model, notes, steps, rng, generator):
    """`notes` are pairs (English ids, Japanese ids) without special tokens."""
    vocab = model.config.vocab_size

    def loss(_):
        texts, types = [], []
        for pair in rng.choices(notes, k=24):
            first, second = rng.sample(pair, 2)
            text = [CLS, *first, SEP]
            type_ids = [0] * len(text)
            if rng.random() < 0.5:
                text += [*second, SEP]
                type_ids += [1] * (len(second) + 1)
            texts.append(text[:LIMIT])
            types.append(type_ids[:LIMIT])
        ids, mask = pad(texts)
        hidden, labels = masked(ids, mask, vocab, generator)
        return model(
            input_ids=hidden, attention_mask=mask, token_type_ids=pad(types)[0], labels=labels
        ).loss

    train(model, "masked language model", 2e-3, steps, loss)


def splade(model, texts):
    """Max pooling of log(1 + relu(logits)): (B, V)."""
    ids, mask = pad([[CLS, *text[: LIMIT - 2], SEP] for text in texts])
    values = model(input_ids=ids, attention_mask=mask).logits  # (B, N, V)
    weights = torch.log1p(torch.relu(values)) * mask[:, :, None]
    return weights.max(dim=1).values


def flops(weights):
    """Sum over terms of the squared mean weight."""
    return (weights.abs().mean(dim=0) ** 2).sum()


def train_splade(model, notes, asked, steps, lambdas, rng):
    """`asked`: one list a note of further texts whose answer it is."""
    frequency = {}
    for note in notes:
        for token in set(note[0]) | set(note[1]):
            frequency[token] = frequency.get(token, 0) + 1
    rare = lambda text: [token for token in text if frequency[token] <= len(notes) // 8]

    def loss(step):
        chosen = rng.sample(range(len(notes)), 24)
        queries, documents = [], []
        for i in chosen:
            own, other = rng.sample(notes[i], 2)
            kind = rng.random()
            if kind < 0.4:
                query = rng.choice(asked[i])
            elif kind < 0.55:
                query = other
            else:
                words = rare(rng.choice([own, own, other]))
                query = sorted(rng.sample(words, min(len(words), rng.randint(1, 4))))
            queries.append(query)
            documents.append(own)
        # A note that has all words of another's query is no wrong answer to it.
        wrong = torch.tensor([
            [i == j or not set(queries[i]) <= set().union(*notes[chosen[j]])
             for j in range(len(chosen))] for i in range(len(chosen))
        ])
        q, d = splade(model, queries), splade(model, documents)
        scores = (q @ d.T).masked_fill(~wrong, -1e4)  # (B, B)
        ramp = min(1.0, (step / (0.5 * steps)) ** 2)
        ranking = torch.nn.functional.cross_entropy(scores, torch.arange(len(chosen)))
        return ranking + ramp * (lambdas[0] * flops(q) + lambdas[1] * flops(d))

    train(model, "splade", 1e-3, steps, loss)


def encode(model, tokenizer, texts):
    with torch.no_grad():
        plain = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        return torch.cat([splade(model, [text]) for text in plain])


def lexical(tokenizer, texts):
    """Presence of each word piece: the baseline without a model. (B, V)"""
    rows = torch.zeros(len(texts), len(tokenizer))
    for row, text in zip(rows, texts):
        row[tokenizer(text, add_special_tokens=False)["input_ids"]] = 1.0
    return rows


def metrics(queries, documents, notes, positives):
    """MRR@10 and recall@10 of the notes, and the same of those in the other language alone."""
    ids, result = list(notes), {"MRR@10": 0.0, "recall@10": 0.0, "other language MRR@10": 0.0}
    for query, relevant in zip(queries, positives.values()):
        scores = documents @ query
        order = [ids[i] for i in torch.argsort(-scores, stable=True) if scores[i] > 0]
        ranks = [order.index(doc) + 1 if doc in order else math.inf for doc in relevant]
        # The odd id is the English note, the even one the Japanese.
        other = [doc for doc in order if doc % 2 == relevant[1] % 2]
        rank = other.index(relevant[1]) + 1 if relevant[1] in other else math.inf
        reciprocal = lambda rank: 1 / rank if rank <= 10 else 0.0
        result["MRR@10"] += reciprocal(min(ranks)) / len(positives)
        result["recall@10"] += sum(r <= 10 for r in ranks) / len(ranks) / len(positives)
        result["other language MRR@10"] += reciprocal(rank) / len(positives)
    return result


def report(model, tokenizer, notes, queries, positives):
    """Lines of the model card: metrics, number of terms, some vectors."""
    texts = [text for _, text in notes.values()]
    lines = ["| | MRR@10 | recall@10 | other language MRR@10 |", "|---|---|---|---|"]
    q, d = encode(model, tokenizer, queries.values()), encode(model, tokenizer, texts)
    word_q, word_d = lexical(tokenizer, queries.values()), lexical(tokenizer, texts)
    for name, pair in [("this model", (q, d)), ("shared words only", (word_q, word_d))]:
        values = metrics(*pair, notes, positives).values()
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    terms = [float((rows > 0).sum(dim=1).float().mean()) for rows in (q, d)]
    lines += ["", f"Non-zero terms: {terms[0]:.0f} a query, {terms[1]:.0f} a document.", ""]
    for text in DEMO_TEXTS[:9]:
        row = encode(model, tokenizer, [text])[0]
        top = torch.argsort(-row)[:14].tolist()
        pairs = [f"{tokenizer.convert_ids_to_tokens(i)} {float(row[i]):.2f}" for i in top]
        lines.append(f"- {text} ({int((row > 0).sum())} terms) → {', '.join(pairs)}")
    return "\n".join(lines)


CARD = """---
license: apache-2.0
language: [ja, en]
library_name: sentence-transformers
pipeline_tag: feature-extraction
tags: [splade, sparse-encoder]
---

# The demo model

A SPLADE model of {parameters} parameters, Japanese and English, that the repository carries so
that the tool can be tried at once. **It is a toy: trained from nothing on {notes} invented notes
and {queries} queries, it knows the words of those notes and no others. Do not search with it.**

BERT with {layers} layers of width {hidden}, {vocab} terms, at most {limit} tokens; MeCab with
unidic-lite, then WordPiece, lower case. Max pooling, log(1 + relu). Weights are f16.

Made by `scripts/reference/demo_model.py` from `data/toy` (train) in one thread on a CPU:
masked language modelling ({mlm_steps} steps), then in-batch negatives with FLOPS regularisation
({splade_steps} steps). Seed {seed}. The folder is laid out as sentence-transformers 5 does it and
opens in light-splade (this one and the Python library), sentence-transformers and transformers.

## On the toy data

The {validation_queries} validation queries against the {validation_notes} notes of
`data/toy/validation`, which were not trained on but use the same words; each query has a note in
its own language and one in the other. So few queries show that the model is not broken, no more.

{report}
"""


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: demo_model.py DATA MODEL EXPECTED")
    data, out, expected = map(Path, sys.argv[1:])
    seed, mlm_steps, splade_steps, lambdas = 11, 3000, 3000, (0.02, 0.015)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    notes, queries, positives = load_toy(data, "train")
    validation = load_toy(data, "validation")

    with tempfile.TemporaryDirectory() as folder:
        texts = [text for note in notes.values() for text in note] + list(queries.values())
        tokenizer = make_tokenizer(folder, texts)
        ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        pairs = [
            (ids(notes[i][1]), ids(notes[i + 1][1])) for i in sorted(notes) if i % 2 == 1
        ]
        asked = [[ids(notes[i][0]), ids(notes[i + 1][0])] for i in sorted(notes) if i % 2 == 1]
        for qid, text in queries.items():
            asked[(positives[qid][0] - 1) // 2] += [ids(text)] * 2
        model = BertForMaskedLM(BertConfig(
            vocab_size=len(tokenizer), hidden_size=96, num_hidden_layers=2,
            num_attention_heads=4, intermediate_size=192, max_position_embeddings=LIMIT,
        ))
        train_mlm(model, pairs, mlm_steps, rng, generator)
        train_splade(model, pairs, asked, splade_steps, lambdas, rng)

        model.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        shutil.rmtree(out, ignore_errors=True)
        modules = [MLMTransformer(folder, max_seq_length=LIMIT), SpladePooling("max")]
        saved = SparseEncoder(modules=modules, similarity_fn_name="dot", device="cpu").half()
        saved.save(str(out), create_model_card=False)

    # What is measured is what was saved, after the rounding to f16.
    model = AutoModelForMaskedLM.from_pretrained(out).float().eval()
    card = CARD.format(
        parameters=f"{model.num_parameters():,}", notes=len(notes), queries=len(queries),
        layers=model.config.num_hidden_layers, hidden=model.config.hidden_size,
        vocab=f"{len(tokenizer):,}", limit=LIMIT, mlm_steps=mlm_steps,
        splade_steps=splade_steps, seed=seed, validation_queries=len(validation[1]),
        validation_notes=len(validation[0]), report=report(model, tokenizer, *validation),
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    print(card)

    exact, results = copy.deepcopy(model).double(), []
    for text in DEMO_TEXTS:
        tokens = tokenizer(text, truncation=True, max_length=LIMIT)["input_ids"]
        row = logits(exact, tokens)
        largest, total = pool(row)
        entry = sparse(largest)
        entry["positions"] = positions(row, entry["indices"])
        results.append({"input_ids": tokens, "max": entry, "sum": sparse(total)})
    write_expected(expected, {
        "model": "demo", "max_tokens": LIMIT, "texts": DEMO_TEXTS, "results": results,
    })


if __name__ == "__main__":
    main()
