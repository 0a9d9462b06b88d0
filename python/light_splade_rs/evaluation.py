"""Retrieval measured on data sets: a model with :func:`evaluate`, and BM25 beside it with :func:`bm25`."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from html import escape
from typing import Any

from . import _native
from ._model import Path
from ._progress import Callback, reporter
from .errors import InvalidArgumentError
from .sparse_encoder import SparseEncoder

__all__ = ["Evaluation", "bm25", "evaluate"]


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


def _evaluation(
    measured: tuple[str, str, list[tuple[str, list[float]]], list[tuple[str, list[tuple[str, float]]]]],
) -> Evaluation:
    report, table, values, run = measured
    return Evaluation(json.loads(report), table, values, run)
