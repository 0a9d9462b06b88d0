"""Why a vector has its terms, and why a document was found."""

from html import escape
from typing import NamedTuple

__all__ = ["Explanation", "Share", "Shares"]


class Explanation(NamedTuple):
    """Which token of a text gave each term its weight: ``terms`` are tuples of a term, its weight and that token, the
    largest first; ``tokens`` are all tokens of the text."""

    tokens: list[str]
    terms: list[tuple[str, float, str]]

    def __str__(self) -> str:
        return "\n".join(f"{weight:8.4f}  {term}  from {token}" for term, weight, token in self.terms)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(term)}</td><td>{weight:.3f}</td><td>{escape(token)}</td></tr>"
            for term, weight, token in self.terms
        )
        return f"<table><tr><th>term</th><th>weight</th><th>from</th></tr>{rows}</table>"


class Share(NamedTuple):
    """What one term gives to a score: the product of its weights in query and document."""

    token: str
    query_weight: float
    document_weight: float
    score: float


class Shares(list[Share]):
    """What each term gives to the score of a document, the largest first."""

    @property
    def score(self) -> float:
        """The score of the document."""
        return sum(share.score for share in self)

    def __str__(self) -> str:
        lines = [
            f"{share.score:10.4f}  {share.token}: {share.query_weight:.4f} x {share.document_weight:.4f}"
            for share in self
        ]
        return "\n".join([*lines, f"{self.score:10.4f}  total of {len(self)} terms"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(share.token)}</td><td>{share.query_weight:.3f}</td>"
            f"<td>{share.document_weight:.3f}</td><td>{share.score:.3f}</td></tr>"
            for share in self
        )
        head = "<tr><th>term</th><th>query</th><th>document</th><th>score</th></tr>"
        return f"<table>{head}{rows}<caption>score {self.score:.4f}</caption></table>"
