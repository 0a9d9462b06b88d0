"""Draws the expansion of a text as an SVG picture: each term's weight and the token that gave it.

    python3 scripts/figures/expansion.py target/release/light-splade "海が見える電車の席" > docs/images/expansion.svg

The numbers are those that `light-splade explain` prints for the built-in model. Terms that are not tokens of
the text are green. The picture works on light and dark pages, as it brings its own background.
"""

import html
import re
import subprocess
import sys

ROW, TOP, LEFT, BAR = 26, 118, 210, 250


def main():
    program, text = sys.argv[1:3]
    printed = subprocess.run(
        [program, "explain", "-t", text, "--top-k", "12"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    tokens = printed[0].split(" ")
    terms = []
    for line in printed[2:]:
        found = re.match(r"\s*([\d.]+) ([+ ]) (\S+)\s+← token (\d+) (\S+)$", line)
        if found:
            weight, sign, term, position, _ = found.groups()
            terms.append((float(weight), sign == "+", term, int(position)))
    height = TOP + ROW * len(terms) + 18
    widest = terms[0][0]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" '
        f'viewBox="0 0 720 {height}" role="img" font-size="15" '
        'font-family="system-ui, \'Noto Sans CJK JP\', \'Hiragino Sans\', sans-serif">',
        f"<title>Expansion of {html.escape(text)}</title>",
        f'<rect width="720" height="{height}" rx="8" fill="#fbfbf9" stroke="#d8d8d2"/>',
        '<text x="20" y="34" font-size="13" fill="#666">text, as the model reads it</text>',
    ]
    x = 20
    for token in tokens:
        width = 14 + sum(15 if ord(c) > 255 else 8.6 for c in token)
        out.append(
            f'<rect x="{x}" y="46" width="{width:.0f}" height="28" rx="4" fill="#fff" stroke="#aaa"/>'
            f'<text x="{x + width / 2:.0f}" y="65" text-anchor="middle" fill="#222">{html.escape(token)}</text>'
        )
        x += width + 6
    for x, name, anchor in ((LEFT - 20, "term", "end"), (LEFT, "weight", "start"), (LEFT + BAR + 84, "given by token", "start")):
        out.append(f'<text x="{x}" y="{TOP - 12}" font-size="13" fill="#666" text-anchor="{anchor}">{name}</text>')
    for row, (weight, expansion, term, position) in enumerate(terms):
        y = TOP + ROW * row
        colour = "#1a7f4b" if expansion else "#33528a"
        bold = ' font-weight="600"' if expansion else ""
        out.append(
            f'<text x="{LEFT - 20}" y="{y + 15}" text-anchor="end" fill="{colour}"'
            f'{bold}>{html.escape(term)}</text>'
            f'<rect x="{LEFT}" y="{y + 2}" width="{BAR * weight / widest:.0f}" height="17" rx="2" fill="{colour}"/>'
            f'<text x="{LEFT + BAR + 12}" y="{y + 15}" fill="#222">{weight:.2f}</text>'
            f'<text x="{LEFT + BAR + 84}" y="{y + 15}" fill="#444">{html.escape(tokens[position])}</text>'
        )
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
