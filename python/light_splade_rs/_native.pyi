"""The extension module. It is not for users directly."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

_Path = str | PathLike[str]
_Reporter = Callable[[str, dict[str, Any]], object]
_ArraysIn = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]
_Arrays = tuple[npt.NDArray[np.int32] | npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]
_Rankings = list[tuple[str, list[tuple[str, float]]]]
_Measured = tuple[str, str, list[tuple[str, list[float]]], _Rankings]
_RunSource = _Path | Sequence[tuple[str, Sequence[tuple[str, float]]]]
_Shares = list[tuple[int, float, float, float]]
_Passage = tuple[str, list[tuple[int, int, bool, float]]]

VERSION: str

__all__ = [
    "VERSION",
    "CrossEncoder",
    "Encoder",
    "Hit",
    "Index",
    "Place",
    "Searcher",
    "bm25",
    "convert",
    "encode_files",
    "evaluate",
    "evaluate_run",
    "export",
    "export_model",
    "fuse",
    "inspect",
    "mine",
    "model_folder",
    "pairwise",
    "run_command",
    "score",
    "similarity",
    "train",
    "verify",
]

@final
class Encoder:
    def __new__(
        cls,
        name: _Path,
        *,
        precision: str = "f32",
        max_length: int | None = None,
        threads: int | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        mecab_dicdir: _Path | None = None,
        side: str | None = None,
        reporter: _Reporter | None = None,
    ) -> Encoder: ...
    @property
    def vocab_size(self) -> int: ...
    def max_length(self, side: str) -> int: ...
    def length_limit(self, side: str) -> int: ...
    def prompt(self, side: str) -> str: ...
    def tokens(self) -> list[str]: ...
    def token_ids(
        self,
        texts: Sequence[str],
        side: str,
        *,
        special: bool = True,
        max_length: int | None = None,
    ) -> list[list[int]]: ...
    def encode(
        self,
        texts: Sequence[str],
        side: str,
        *,
        prompt: str | None = None,
        max_length: int | None = None,
        max_active_dims: int | None = None,
        reporter: _Reporter | None = None,
    ) -> _Arrays: ...
    def encode_ids(self, ids: Sequence[Sequence[int]], side: str) -> _Arrays: ...
    def explain(
        self, text: str, side: str, *, prompt: str | None = None, max_length: int | None = None
    ) -> tuple[list[str], list[int], list[float], list[int]]: ...

@final
class Index:
    @staticmethod
    def create(folder: _Path, encoder: Encoder | None, settings: str, resume: bool) -> Index: ...
    @staticmethod
    def open(folder: _Path, settings: str) -> Index: ...
    def provenance(self) -> str: ...
    def stores(self) -> bool: ...
    def add_texts(
        self,
        encoder: Encoder,
        documents: Iterator[tuple[str, str, str]],
        reporter: _Reporter | None = None,
    ) -> int: ...
    def add_vectors(self, ids: Sequence[str], matrix: _ArraysIn) -> int: ...
    def delete(self, ids: Sequence[str]) -> int: ...
    def put(self) -> int: ...
    def commit(self, encoder: Encoder | None = None) -> dict[str, Any]: ...
    def merge(self, encoder: Encoder | None = None) -> dict[str, Any]: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...

@final
class Place:
    """The place of a document in a ranking: its ``rank``, from 1, and its ``score`` there."""
    def __new__(cls, rank: int, score: float) -> Place: ...
    @property
    def rank(self) -> int: ...
    @property
    def score(self) -> float: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __getnewargs__(self) -> tuple[int, float]: ...
    __hash__: None  # type: ignore[assignment]

@final
class Hit:
    """A document that a search found: its ``id`` and its ``score``. Hybrid searches add its places in both rankings,
    ``splade`` and ``bm25``, and re-ranking its place ``before``."""
    def __new__(
        cls,
        id: str,
        score: float,
        splade: Place | None = None,
        bm25: Place | None = None,
        before: Place | None = None,
    ) -> Hit: ...
    @property
    def id(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def splade(self) -> Place | None: ...
    @property
    def bm25(self) -> Place | None: ...
    @property
    def before(self) -> Place | None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __getnewargs__(self) -> tuple[str, float, Place | None, Place | None, Place | None]: ...
    __hash__: None  # type: ignore[assignment]

@final
class Searcher:
    def __new__(cls, folder: _Path, encoder: Encoder | None) -> Searcher: ...
    def provenance(self) -> str: ...
    def info(self) -> dict[str, Any]: ...
    def search_texts(
        self,
        encoder: Encoder,
        queries: Sequence[str],
        how: Mapping[str, Any],
        threads: int | None = None,
        reporter: _Reporter | None = None,
    ) -> list[list[Hit]]: ...
    def search_vectors(
        self,
        queries: _ArraysIn,
        how: Mapping[str, Any],
        threads: int | None = None,
        reporter: _Reporter | None = None,
    ) -> list[list[Hit]]: ...
    def search_bm25(
        self,
        encoder: Encoder,
        queries: Sequence[str],
        how: Mapping[str, Any],
        threads: int | None = None,
        reporter: _Reporter | None = None,
    ) -> list[list[Hit]]: ...
    def search_hybrid(
        self,
        encoder: Encoder,
        queries: Sequence[str],
        query_vectors: _ArraysIn,
        how: Mapping[str, Any],
        fusing: Mapping[str, Any],
        depth: int | None = None,
        threads: int | None = None,
        reporter: _Reporter | None = None,
    ) -> list[list[Hit]]: ...
    def rerank(self, cross_encoder: CrossEncoder, query: str, ids: Sequence[str]) -> list[tuple[int, float]]: ...
    def stores(self) -> bool: ...
    def document(self, id: str) -> tuple[str, str] | None: ...
    def snippets(
        self, encoder: Encoder, query: str, ids: Sequence[str], max_chars: int
    ) -> list[tuple[_Passage, _Passage] | None]: ...
    def explain(self, query: _ArraysIn, id: str) -> _Shares | None: ...
    def explain_bm25(self, encoder: Encoder, query: str, id: str) -> _Shares | None: ...
    def vector(self, id: str) -> _Arrays | None: ...

@final
class CrossEncoder:
    def __new__(
        cls,
        name: _Path,
        *,
        precision: str = "f32",
        max_length: int | None = None,
        threads: int | None = None,
        mecab_dicdir: _Path | None = None,
        reporter: _Reporter | None = None,
    ) -> CrossEncoder: ...
    @property
    def labels(self) -> int: ...
    @property
    def has_sigmoid(self) -> bool: ...
    def logits(self, pairs: Sequence[tuple[str, str]], reporter: _Reporter | None = None) -> npt.NDArray[np.float32]: ...

def similarity(a: _ArraysIn, b: _ArraysIn) -> npt.NDArray[np.float32]: ...
def pairwise(a: _ArraysIn, b: _ArraysIn) -> npt.NDArray[np.float32]: ...
def run_command(arguments: Sequence[str]) -> int: ...
def verify(folder: _Path) -> tuple[int, int, int]: ...
def model_folder(name: _Path, reporter: _Reporter | None = None) -> Path: ...
def inspect(name: _Path) -> str: ...
def export_model(settings: str, reporter: _Reporter | None = None) -> tuple[str, str | None]: ...
def encode_files(
    encoder: Encoder,
    texts: Iterator[tuple[str, str]] | Sequence[_Path],
    settings: str,
    reporter: _Reporter | None = None,
) -> tuple[int, int]: ...
def export(settings: str, reporter: _Reporter | None = None) -> tuple[int, bool]: ...
def evaluate(encoder: Encoder, data: _Path, settings: str, reporter: _Reporter | None = None) -> _Measured: ...
def evaluate_run(run: _RunSource, data: _Path, settings: str) -> _Measured: ...
def fuse(runs: Sequence[_RunSource], fusing: Mapping[str, Any], k: int | None = None) -> _Rankings: ...
def bm25(
    model: _Path,
    data: _Path,
    k1: float,
    b: float,
    settings: str,
    reporter: _Reporter | None = None,
) -> _Measured: ...
def train(
    source: str | tuple[_Path, str, Sequence[str]],
    resume: bool,
    reporter: _Reporter | None = None,
) -> dict[str, Any] | None: ...
def mine(settings: str, reporter: _Reporter | None = None) -> tuple[int, int, int, list[str]]: ...
def score(settings: str, reporter: _Reporter | None = None) -> None: ...
def convert(
    settings: str,
    out: _Path,
    force: bool,
    resume: bool,
    reporter: _Reporter | None = None,
) -> list[str] | None: ...
