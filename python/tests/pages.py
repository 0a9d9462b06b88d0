"""Runs the Python examples of pages, each page in a folder of its own, and compares what they print with the blocks
`output` below them. The package must be installed, and nothing else is needed.

    python python/tests/pages.py              all pages
    python python/tests/pages.py PAGE ...     only these, as paths from the root of the repository

With UPDATE_SNAPSHOTS=1, the pages get what the examples print.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\S+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def pages():
    contents = (ROOT / "docs/SUMMARY.md").read_text(encoding="utf-8")
    book = [f"docs/{page}" for page in re.findall(r"\]\(([^)]+\.md)\)", contents)]
    return ["python/README.md", *book]


def run(page):
    """Runs the examples of a page in one namespace and returns their number."""
    names = {}
    printed = None
    count = 0
    shown = (ROOT / page).read_text(encoding="utf-8")
    for language, words, text in FENCE.findall(shown):
        if language == "output":
            assert printed is not None, f"{page}: output without an example before it"
            if os.environ.get("UPDATE_SNAPSHOTS") and printed != text:
                shown = shown.replace(f"```output\n{text}```", f"```output\n{printed}```")
                (ROOT / page).write_text(shown, encoding="utf-8")
                continue
            assert printed == text, f"{page}: the example prints\n{printed}\nand the page shows\n{text}"
        elif language == "python" and "skip=" not in words:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, page, "exec"), names)
            printed = out.getvalue()
            count += 1
    return count


def main():
    total = 0
    for page in sys.argv[1:] or pages():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "data").symlink_to(ROOT / "data")
            os.chdir(folder)
            total += run(page)
            os.chdir(ROOT)
    print(f"{total} examples of pages ran")
    assert total > 0


if __name__ == "__main__":
    main()
