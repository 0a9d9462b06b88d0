"""The passage of a document that fits a query best."""

from html import escape
from typing import NamedTuple

__all__ = ["Mark", "Snippet"]


class Mark(NamedTuple):
    """A word that matches a query, by its characters ``start`` to ``stop`` (not included). ``kind`` is ``"word"`` for a
    word of the query and ``"expansion"`` for one that the model added; ``weight`` is the weight of its term in the query
    as a share of the largest one."""

    start: int
    stop: int
    kind: str
    weight: float


#: A text and its marks as the extension module returns them: start, stop, whether the query has the word, and weight.
Marked = tuple[str, list[tuple[int, int, bool, float]]]


class Snippet(NamedTuple):
    """The title of a document and the passage of its text that fits a query best, each with the words that match.

    ``str(…)`` has words of the query as ``*word*`` and those that the model added as ``+word+``. A notebook shows them
    bold and green.
    """

    id: str
    title: str
    title_marks: list[Mark]
    text: str
    marks: list[Mark]

    @classmethod
    def of(cls, id: str, title: Marked, text: Marked) -> "Snippet":
        """Makes a snippet of what the extension module returns."""

        def marks(of: Marked) -> list[Mark]:
            return [
                Mark(start, stop, "word" if is_word else "expansion", weight) for start, stop, is_word, weight in of[1]
            ]

        return cls(id, title[0], marks(title), text[0], marks(text))

    def __str__(self) -> str:
        signs = {"word": ("*", "*"), "expansion": ("+", "+")}
        text = _marked(self.text, self.marks, signs)
        return f"{_marked(self.title, self.title_marks, signs)}: {text}" if self.title else text

    def _repr_html_(self) -> str:
        tags = {
            "word": ("<b>", "</b>"),
            "expansion": ("<span style='color:#188038'>", "</span>"),
        }
        title, text = _marked(self.title, self.title_marks, tags, True), _marked(self.text, self.marks, tags, True)
        return f"<p>{title}<br>{text}</p>" if title else f"<p>{text}</p>"


def _marked(text: str, marks: list[Mark], signs: dict[str, tuple[str, str]], is_html: bool = False) -> str:
    """A text with signs around its marks."""

    def plain(start: int, stop: int) -> str:
        return escape(text[start:stop]) if is_html else text[start:stop]

    parts, end = [], 0
    for mark in marks:
        before, after = signs[mark.kind]
        parts += [plain(end, mark.start), before, plain(mark.start, mark.stop), after]
        end = mark.stop
    return "".join([*parts, plain(end, len(text))])
