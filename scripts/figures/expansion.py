"""Draws the expansion of a text as an SVG picture: each term's weight and the token that gave it.

    python3 scripts/figures/expansion.py target/release/light-splade "The train to the coast leaves at night." > docs/images/expansion.svg

The numbers are those that `light-splade explain` prints for the built-in model. Terms that are not tokens of
the text are green.
"""

import re
import subprocess
import sys

from style import Picture, width_of

ROW, TOP, LEFT, BAR = 26, 118, 210, 250


def main():
    program, text = sys.argv[1:3]
    printed = subprocess.run(
        [program, "explain", "-t", text, "--top-k", "12"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    tokens = printed[0].split(" ")
    terms = []
    for line in printed[1:]:
        found = re.match(r"\s*([\d.]+) ([+ ]) (\S+)\s+← token (\d+) (\S+)$", line)
        if found:
            weight, sign, term, position, _ = found.groups()
            terms.append((float(weight), sign == "+", term, int(position)))
    picture = Picture(f"Expansion of {text}", 720, TOP + ROW * len(terms) + 18)
    picture.text(20, 34, "text, as the model reads it", "mute", size=13)
    x = 20
    for token in tokens:
        width = 14 + width_of(token)
        picture.box(x, 46, width, 28, token)
        x += width + 6
    for x, name, anchor in ((LEFT - 20, "term", "end"), (LEFT, "weight", "start"), (LEFT + BAR + 84, "given by token", "start")):
        picture.text(x, TOP - 12, name, "mute", anchor, 13)
    for row, (weight, is_new, term, position) in enumerate(terms):
        y = TOP + ROW * row
        kind = "new" if is_new else "own"
        picture.text(LEFT - 20, y + 15, term, kind, "end", bold=is_new)
        picture.rect(LEFT, y + 2, BAR * weight / terms[0][0], 17, kind, 2)
        picture.text(LEFT + BAR + 12, y + 15, f"{weight:.2f}")
        picture.text(LEFT + BAR + 84, y + 15, tokens[position], "mute")
    print(picture.svg(), end="")


if __name__ == "__main__":
    main()
