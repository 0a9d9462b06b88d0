"""What all pictures of the documentation have in common: colours for light and dark pages, and a few shapes."""

import html

# A picture cannot know the theme of the page that shows it. It brings its own background, and follows the system's choice
# of light or dark.
STYLE = """<style>
.card{fill:#fbfbf9;stroke:#d8d8d2}.box{fill:#fff;stroke:#8a8a84}.soft{fill:#eef2f8;stroke:#8a9bb5}
.text{fill:#1d1d1b}.mute{fill:#5b5b57}.own{fill:#2f5597}.new{fill:#1a7f4b}.line{stroke:#6f6f69;fill:none}.hit{fill:#f2d9a0;stroke:#b08a2e}
@media (prefers-color-scheme:dark){
.card{fill:#1e2127;stroke:#3a3f48}.box{fill:#2a2e36;stroke:#7d8490}.soft{fill:#26334a;stroke:#6b86b3}
.text{fill:#e8e8e4}.mute{fill:#a9adb5}.own{fill:#8fb4f2}.new{fill:#6fd39b}.line{stroke:#9aa0aa}.hit{fill:#5c4a1c;stroke:#d2ab4f}
}</style>"""
FONT = "system-ui, 'Noto Sans CJK JP', 'Hiragino Sans', sans-serif"


def width_of(text, size=15):
    """The width of a text in about this font, in pixels."""
    return sum(size if ord(c) > 255 else size * 0.57 for c in text)


class Picture:
    """An SVG of the given size, drawn shape by shape."""

    def __init__(self, title, width, height):
        self.width = width
        self.out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img" font-size="15" font-family="{FONT}">',
            f"<title>{html.escape(title)}</title>",
            STYLE,
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 10 5 0 10" class="line"/></marker></defs>',
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" class="card"/>',
        ]

    def text(self, x, y, text, kind="text", anchor="start", size=15, bold=False):
        assert anchor != "start" or x + width_of(text, size) < self.width - 10, f"too long for the picture: {text}"
        weight = ' font-weight="600"' if bold else ""
        self.out.append(
            f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}" font-size="{size}"{weight}>{html.escape(text)}</text>'
        )

    def rect(self, x, y, width, height, kind="box", radius=4):
        self.out.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" class="{kind}"/>')

    def box(self, x, y, width, height, *lines, kind="box"):
        """A box with lines of text in its middle; the lines after the first are small."""
        self.rect(x, y, width, height, kind)
        top = y + height / 2 + 5 - 9 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 18 * number, line, "mute" if number else "text", "middle", 13 if number else 15)

    def arrow(self, x1, y1, x2, y2):
        self.out.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="line" stroke-width="1.5" marker-end="url(#arrow)"/>'
        )

    def path(self, way):
        """A line with corners, in SVG's words, with an arrow at its end."""
        self.out.append(f'<path d="{way}" class="line" stroke-width="1.5" marker-end="url(#arrow)"/>')

    def svg(self):
        return "\n".join([*self.out, "</svg>", ""])
