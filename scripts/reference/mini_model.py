"""Writes models/mini-ja-en/expected.json with vectors of some texts that transformers and PyTorch compute in 64 bits.

    python scripts/reference/mini_model.py
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

FOLDER = Path(__file__).parents[2] / "models/mini-ja-en"
TEXTS = [
    "日本の首都は東京です。",
    "大阪万博は2025年に開催されます。",
    "手塚治虫の漫画家としてのデビュー作は何かな?",
    "who wrote the theme song for mission impossible",
]


def main():
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForMaskedLM.from_pretrained(FOLDER, attn_implementation="eager")
    model = model.double().eval()
    rows = []
    for text in TEXTS:
        batch = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            logits = model(**batch).logits[0]
        weights = torch.log1p(torch.relu(logits)).amax(0)
        terms = weights.nonzero().flatten().tolist()
        rows.append({"text": text, "vector": {t: round(weights[t].item(), 7) for t in terms}})
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (FOLDER / "expected.json").write_text(f"[{lines}]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
