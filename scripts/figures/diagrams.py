"""Draws the diagrams of docs/explanation as SVG pictures into docs/images.

    python3 scripts/figures/diagrams.py
"""

import pathlib

from style import Picture

IMAGES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "images"


def head():
    """From tokens to one vector: logits for each token, and the maximum over the tokens."""
    p = Picture("The head: from tokens to one sparse vector", 720, 346)
    tokens = ["海", "が", "見える", "電車", "の", "席"]
    p.text(20, 32, "tokens", "mute", size=13)
    for i, token in enumerate(tokens):
        p.box(110 + 84 * i, 14, 72, 28, token)
        p.arrow(146 + 84 * i, 42, 146 + 84 * i, 60)
    p.box(110, 62, 492, 40, "layers of the language model", kind="soft")
    p.text(20, 150, "logits of", "mute", size=13)
    rows = [("海", [5.1, 0, 1.2, 0.3, 0, 0.4]), ("電車", [0.2, 0, 0, 6.0, 0, 0.9]), ("系列", [0, 0, 0, 1.9, 0, 0.1])]
    for i in range(len(tokens)):
        p.arrow(146 + 84 * i, 102, 146 + 84 * i, 126)
    for r, (term, logits) in enumerate(rows):
        y = 130 + 40 * r
        p.text(98, y + 21, term, "new" if r == 2 else "own", "end", bold=r == 2)
        for i, logit in enumerate(logits):
            p.box(110 + 84 * i, y, 72, 32, f"{logit:.1f}", kind="hit" if logit == max(logits) else "box")
        p.arrow(606, y + 16, 632, y + 16)
        p.text(640, y + 21, f"{max(logits):.1f}", bold=True)
    p.text(640, 120, "maximum", "mute", size=13)
    p.text(20, 282, "Each term keeps its largest logit x, and its weight is log(1 + max(x, 0)).")
    p.text(20, 304, "Terms that no token supports get 0 and are not in the vector.")
    p.text(20, 326, "系列 is not in the text: that is the expansion.")
    return p


def flops():
    """The same number of terms, spread over the vocabulary or not."""
    p = Picture("FLOPS: the same weights cost less when they are spread over the vocabulary", 720, 308)
    for column, (title, means, cost) in enumerate(
        (
            ("all texts use the same terms", [1.0, 1.0, 0, 0, 0, 0], "2.00"),
            ("each text uses its own terms", [0.33, 0.33, 0.33, 0.33, 0.34, 0.34], "0.67"),
        )
    ):
        left = 30 + 350 * column
        p.text(left, 34, title, bold=True)
        p.text(left, 58, "mean weight of each term over the batch", "mute", size=13)
        for i, mean in enumerate(means):
            p.rect(left + 50 * i, 210 - 120 * mean, 34, max(120 * mean, 1), "own" if mean > 0.5 else "new", 2)
            p.text(left + 50 * i + 17, 230, f"{mean:.2f}", "mute", "middle", 13)
        p.text(left, 262, f"sum of squares: {cost}", bold=True)
    p.text(30, 290, "Both have the same sum of weights. On the right, a search costs a third.", "mute", size=13)
    return p


def distillation():
    """A teacher reads both texts, a student each alone, and the student learns the teacher's scores."""
    p = Picture("Distillation: a student learns the scores of its teacher", 720, 300)
    p.box(20, 30, 130, 44, "query")
    p.box(20, 100, 130, 44, "document")
    p.box(220, 20, 200, 60, "teacher", "reads both as one text", kind="soft")
    p.box(220, 200, 200, 60, "student", "reads each text alone", kind="soft")
    p.arrow(150, 52, 218, 46)
    p.arrow(150, 116, 218, 66)
    p.arrow(150, 60, 218, 212)
    p.arrow(150, 130, 218, 234)
    p.box(490, 20, 100, 60, "7.1", "score")
    p.box(490, 200, 100, 60, "5.8", "dot product")
    p.arrow(420, 50, 488, 50)
    p.arrow(420, 230, 488, 230)
    p.box(490, 112, 210, 56, "loss", "how far they are apart", kind="hit")
    p.arrow(540, 80, 560, 110)
    p.arrow(540, 200, 560, 170)
    p.path("M660 168 V284 H320 V262")
    p.text(430, 278, "gradient", "mute", size=13)
    return p


def index():
    """Postings lists of a query's terms."""
    p = Picture("An inverted index: each term has the list of its documents", 720, 290)
    p.text(24, 34, "query", "mute", size=13)
    p.text(170, 34, "postings list: document and weight", "mute", size=13)
    p.text(640, 34, "bound", "mute", size=13)
    rows = [
        ("席 1.67", [("d2", "1.99"), ("d14", "1.20"), ("d54", "0.80")], "3.32"),
        ("海 2.12", [("d2", "2.16"), ("d122", "1.90")], "4.59"),
        ("見える 1.70", [("d2", "1.55"), ("d31", "0.40"), ("d122", "1.30")], "2.64"),
    ]
    for r, (term, postings, bound) in enumerate(rows):
        y = 48 + 52 * r
        p.box(24, y, 110, 36, term, kind="soft")
        p.arrow(134, y + 18, 166, y + 18)
        for i, (doc, weight) in enumerate(postings):
            p.box(170 + 120 * i, y, 108, 36, f"{doc}  {weight}", kind="hit" if doc == "d2" else "box")
        p.text(640, y + 23, bound, bold=True)
    p.text(24, 226, "d2:  1.67 × 1.99  +  2.12 × 2.16  +  1.70 × 1.55  =  10.5")
    p.text(24, 252, "A search reads these three lists and no other. A bound is the most that a list can add", "mute", size=13)
    p.text(24, 272, "to any score: documents that cannot reach the best k any more are not looked at again.", "mute", size=13)
    return p


def bits():
    """Sixteen virtual lanes on every CPU."""
    p = Picture("The same sums on every CPU: sixteen lanes, in one order", 720, 272)
    p.text(24, 32, "a sum over many numbers runs in sixteen lanes …", "mute", size=13)
    for i in range(16):
        p.box(24 + 42 * i, 44, 36, 30, str(i + 1), kind="soft")
    for r, (name, wide) in enumerate((("AVX-512", 16), ("AVX2", 8), ("NEON", 4), ("plain Rust", 1))):
        y = 92 + 32 * r
        for part in range(16 // wide):
            p.rect(24 + 42 * wide * part, y, 42 * wide - 6, 22, "box", 3)
        p.rect(24, y, 84, 22, "card", 3)
        p.text(30, y + 16, name, "text", size=13)
    p.text(24, 238, "… whether a CPU adds sixteen at once or one after another:", "mute", size=13)
    p.text(24, 256, "the order of the additions is the same, and so is the result.", "mute", size=13)
    return p


def main():
    for name, draw in (("head", head), ("flops", flops), ("distillation", distillation), ("index", index), ("same-bits", bits)):
        (IMAGES / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
