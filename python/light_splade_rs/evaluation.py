"""Retrieval measured on data sets: a model with :func:`evaluate`, BM25 beside it with :func:`bm25`, and rankings that
exist with :func:`evaluate_run`; :func:`fuse` joins rankings."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from typing import Any

from . import _native
from ._model import Path
from ._progress import Callback, reporter
from .errors import InvalidArgumentError
from .sparse_encoder import SparseEncoder

__all__ = ["Evaluation", "bm25", "evaluate", "evaluate_run", "fuse"]

#: A run: the scores of documents for each query, as `Evaluation.run`, pytrec_eval and ranx have them, or the file of one.
Run = Mapping[str, Mapping[str, float]] | Path


class Evaluation:
    """What was measured. ``metrics`` are the means by their names, ``per_query`` the values of each query, ``run`` the
    ranking of each query (ids with scores), and ``report`` everything as `evaluate --json` prints it."""

    def __init__(
        self,
        report: dict[str, Any],
        table: str,
        values: list[tuple[str, list[float]]],
        run: list[tuple[str, list[tuple[str, float]]]],
    ) -> None:
        self.report = report
        self.table = table
        self._values = values
        self._run = run

    @property
    def metrics(self) -> dict[str, float]:
        """The mean of each metric."""
        means: dict[str, float] = self.report["metrics"]
        return means

    @cached_property
    def run(self) -> dict[str, dict[str, float]]:
        """The scores of the documents that were found for each query, as pytrec_eval and ranx take them."""
        return {query: dict(ranking) for query, ranking in self._run}

    @cached_property
    def per_query(self) -> dict[str, dict[str, float]]:
        """The value of each metric for each query."""
        return {query: dict(zip(self.metrics, values, strict=True)) for query, values in self._values}

    def __str__(self) -> str:
        return self.table

    def __repr__(self) -> str:
        means = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"Evaluation({means}; {len(self._run)} queries)"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{value:.4f}</td></tr>" for name, value in self.metrics.items())
        return f"<table>{rows}</table>"


def evaluate(
    encoder: SparseEncoder | Path,
    data: Path,
    *,
    metrics: Sequence[str] | None = None,
    split: str | None = None,
    depth: int | None = None,
    drop_same_id: bool = False,
    weights: str | None = None,
    index: Path | None = None,
    threads: int | None = None,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
) -> Evaluation:
    """Measures how well a model retrieves on a data set.

    Args:
        encoder: The model, or its name.
        data: A folder in BEIR's form (``corpus.jsonl``, ``queries.jsonl``, ``qrels``) or in light-splade's.
        metrics: Names such as ``"nDCG@10"``; nDCG@10, MRR@10, MAP@100 and Recall@100 if left out.
        split: The split of the judgements, such as ``"test"``; the data set's own choice if left out.
        depth: The number of documents that are retrieved for a query; as many as the metrics need if left out.
        drop_same_id: Leaves out the document that has the query's id, as BEIR does.
        weights: How the index keeps weights: ``"u8"``, ``"f16"``, or ``"f32"`` (exactly), the default.
        index: The folder of an index: searched if it is there, else built there and kept.
        threads: The number of threads that search; one a core if left out.
        show_progress_bar: Whether a line on standard error tells how far the work is.
        callback: Is called with each event: its kind, and a dictionary of its values.
    """
    if not isinstance(encoder, SparseEncoder):
        encoder = SparseEncoder(encoder)
    if encoder.max_active_dims is not None:
        message = "evaluate measures whole vectors, but the encoder has max_active_dims"
        hint = "save the number in the model's own settings, or evaluate an index: Searcher and a library of metrics"
        raise InvalidArgumentError(message, hint)
    settings = {
        "metrics": None if metrics is None else list(metrics),
        "split": split,
        "depth": depth,
        "drop_same_id": drop_same_id,
        "weights": weights,
        "index": None if index is None else os.fspath(index),
        "threads": threads,
    }
    report = reporter(callback, show_progress_bar)
    native = encoder._model.native
    return _evaluation(_native.evaluate(native, data, json.dumps(settings), report))


def bm25(
    data: Path,
    *,
    model: Path = "mini-ja-en",
    k1: float = 0.9,
    b: float = 0.4,
    metrics: Sequence[str] | None = None,
    split: str | None = None,
    depth: int | None = None,
    drop_same_id: bool = False,
    threads: int | None = None,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
) -> Evaluation:
    """Measures BM25 over the tokens of a model's tokenizer on a data set; other arguments as for `evaluate`.

    Args:
        data: A folder in BEIR's form or in light-splade's.
        model: The name of a model; only its tokenizer is loaded.
        k1: The saturation of the term frequency.
        b: The strength of the length normalization, from 0 to 1.
    """
    settings = {
        "metrics": None if metrics is None else list(metrics),
        "split": split,
        "depth": depth,
        "drop_same_id": drop_same_id,
        "threads": threads,
    }
    report = reporter(callback, show_progress_bar)
    return _evaluation(_native.bm25(model, data, k1, b, json.dumps(settings), report))


def evaluate_run(
    run: Run,
    data: Path,
    *,
    metrics: Sequence[str] | None = None,
    split: str | None = None,
    drop_same_id: bool = False,
) -> Evaluation:
    """Judges rankings that exist by a data set; other arguments as for `evaluate`.

    Args:
        run: The scores of documents for each query, or a file: TREC, NDJSON, JSON, Parquet or a table.
        data: A folder in BEIR's form or in light-splade's.
    """
    settings = {
        "metrics": None if metrics is None else list(metrics),
        "split": split,
        "drop_same_id": drop_same_id,
    }
    return _evaluation(_native.evaluate_run(_source(run), data, json.dumps(settings)))


def fuse(
    runs: Sequence[Run],
    *,
    fusion: str = "rrf",
    rrf_k: float | None = None,
    weights: Sequence[float] | None = None,
    k: int | None = None,
) -> dict[str, dict[str, float]]:
    """Joins runs into one, such as those of a SPLADE model and of BM25.

    >>> splade = {"q": {"a": 9.0, "b": 8.0}}
    >>> bm25 = {"q": {"b": 3.0, "c": 2.0}}
    >>> list(fuse([splade, bm25])["q"])
    ['b', 'a', 'c']

    Args:
        runs: The scores of documents for each query, or files: TREC, NDJSON, JSON, Parquet or tables.
        fusion: ``"rrf"`` adds ``1 / (rrf_k + rank)``, ``"minmax"`` adds the scores, which are scaled to 0 to 1 in each
            ranking.
        rrf_k: The constant of ``"rrf"``; 60 if left out.
        weights: How much each run counts; 1 each if left out.
        k: The number of documents that are kept of each ranking; all if left out.

    Returns:
        The scores of the documents for each query, the best first.
    """
    if k is not None and k < 1:
        raise InvalidArgumentError(f"k is {k}", "give a number above 0")
    how = {"method": fusion, "rrf_k": rrf_k, "weights": None if weights is None else list(weights)}
    fused = _native.fuse([_source(run) for run in runs], how, k)
    return {query: dict(ranking) for query, ranking in fused}


def _source(run: Run) -> Any:
    """A run as the extension module takes it."""
    if isinstance(run, Mapping):
        return [(query, list(ranking.items())) for query, ranking in run.items()]
    return os.fspath(run)


def _evaluation(
    measured: tuple[str, str, list[tuple[str, list[float]]], list[tuple[str, list[tuple[str, float]]]]],
) -> Evaluation:
    report, table, values, run = measured
    return Evaluation(json.loads(report), table, values, run)
