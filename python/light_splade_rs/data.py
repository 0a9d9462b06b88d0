"""Training data: conversions of public data sets, hard negatives, and scores of pairs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from . import _native
from ._model import Path
from ._progress import Callback, reporter
from .errors import InvalidArgumentError
from .files import settings_of

__all__ = ["MinedNegatives", "convert", "mine", "score"]

#: The settings of each source of `convert`, with those that must be given.
_SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "beir": (("data", "train"), ("validation", "judged_only")),
    "mmarco": ((), ("data", "purpose", "language", "translation", "max_negatives", "seed")),
    "msmarco": (
        ("data",),
        ("triples", "hard_negatives", "max_negatives", "validation_docs", "seed"),
    ),
    "squad": (("data",), ("titles",)),
    "join": (("folders",), ()),
}


class MinedNegatives(NamedTuple):
    """What `mine` found: the number of queries, of those without a negative, and of negatives, and sentences about what
    was left out."""

    queries: int
    without: int
    negatives: int
    sentences: list[str]


def mine(
    data: Path,
    out: Path,
    *,
    sources: Sequence[Mapping[str, Any]] | None = None,
    teacher_scores: Path | None = None,
    margin: float | None = None,
    relative_margin: float | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    format: str | None = None,
    seed: int | None = None,
    model: Path | None = None,
    index: Path | None = None,
    vectors: Path | None = None,
    precision: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    force: bool = False,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
) -> MinedNegatives:
    """Finds hard negatives for the queries of training data.

    Args:
        data: The folder with ``doc_master``, ``query_master`` and ``positive_lists``.
        out: The file that is written, ``.ndjson`` or ``.ndjson.gz``.
        sources: Where negatives come from: dictionaries with ``ranker`` (``"bm25"``, ``"splade"``, ``"dense"``,
            ``"colbert"`` or ``"random"``), ``model`` (for dense and late-interaction models), ``skip``, ``depth``,
            ``take`` and ``at_random``. The best 30 of BM25 if left out.
        teacher_scores: The file with a teacher's scores, which the next four arguments compare.
        margin: The least difference between the score of the worst positive and that of a negative.
        relative_margin: The same as a share of the positive's score.
        max_score: The largest score of a negative.
        min_score: The least score of a negative.
        format: ``"scores"`` or ``"triplets"``.
        seed: Decides what is drawn at random.
        model: The model whose tokens BM25 counts, and which encodes for SPLADE.
        index: The folder of an index of the documents, for SPLADE; built and kept there if it is not there.
        vectors: The folder that keeps the vectors of dense and late-interaction models, so that every text is embedded
            once.
        precision: ``"f32"``, ``"int8"`` or ``"bf16"`` (on a CPU with AMX).
        threads: The number of threads; one a core if left out.
        resume: Goes on where an earlier call was stopped.
        force: Replaces the file.
        show_progress_bar: Whether a line on standard error tells how far the work is.
        callback: Is called with each event: its kind, and a dictionary of its values.
    """
    settings = settings_of(
        data=data,
        out=out,
        sources=None if sources is None else [_plain(source) for source in sources],
        teacher_scores=teacher_scores,
        margin=margin,
        relative_margin=relative_margin,
        max_score=max_score,
        min_score=min_score,
        format=format,
        seed=seed,
        ranker=_ranker(model, index, vectors, precision, threads),
        resume=resume,
        force=force,
    )
    return MinedNegatives(*_native.mine(settings, reporter(callback, show_progress_bar)))


def score(
    pairs: Path,
    data: Path,
    out: Path,
    *,
    by: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = "splade",
    join: str | None = None,
    model: Path | None = None,
    index: Path | None = None,
    vectors: Path | None = None,
    precision: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    force: bool = False,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
) -> None:
    """Scores pairs of queries and documents; other arguments as for `mine`.

    Args:
        pairs: The pairs, in the form of scores that `mine` writes.
        data: The folder with their texts, ``doc_master`` and ``query_master``.
        out: The file that is written, ``.ndjson`` or ``.ndjson.gz``.
        by: The teacher, or several whose scores are joined: ``"bm25"``, ``"splade"``, ``"dense"``, ``"colbert"``,
            ``"bge-m3"`` or ``"cross-encoder"``, or dictionaries with ``by``, ``model`` and ``weight``.
        join: How the scores of several teachers become one: ``"standardize"``, ``"min-max"`` or ``"sum"``.
    """
    teachers = [by] if isinstance(by, (str, Mapping)) else list(by)
    settings = settings_of(
        pairs=pairs,
        data=data,
        out=out,
        teachers=[{"by": teacher} if isinstance(teacher, str) else _plain(teacher) for teacher in teachers],
        join=join,
        ranker=_ranker(model, index, vectors, precision, threads),
        resume=resume,
        force=force,
    )
    _native.score(settings, reporter(callback, show_progress_bar))


def _ranker(
    model: Path | None,
    index: Path | None,
    vectors: Path | None,
    precision: str | None,
    threads: int | None,
) -> dict[str, Any]:
    return _plain({"model": model, "index": index, "vectors": vectors, "precision": precision, "threads": threads})


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are given; paths as strings."""
    plain: dict[str, Any] = json.loads(settings_of(**settings))
    return plain


def convert(
    source: str,
    out: Path,
    *,
    force: bool = False,
    resume: bool = False,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
    **settings: Any,
) -> list[str] | None:
    """Makes training data of what others publish.

    Args:
        source: ``"beir"`` (with ``data``, ``train``, ``validation``, ``judged_only``), ``"mmarco"`` (``data``,
            ``purpose``, ``language``, ``translation``, ``max_negatives``, ``seed``), ``"msmarco"`` (``data``,
            ``triples``, ``hard_negatives``, ``max_negatives``, ``validation_docs``, ``seed``), ``"squad"`` (``data``,
            ``titles``) or ``"join"`` (``folders``).
        out: The folder for ``train`` and ``validation``; it appears once it is complete.
        force: Replaces what an earlier conversion wrote there.
        resume: Does nothing if the folder is complete already, of the same settings and files.
        show_progress_bar: Whether a line on standard error tells how far the work is.
        callback: Is called with each event: its kind, and a dictionary of its values.
        **settings: The settings of the source.

    Returns:
        What there is to say about the result; None where the folder was complete already.
    """
    if source not in _SOURCES:
        names = ", ".join(f'"{name}"' for name in _SOURCES)
        raise InvalidArgumentError(f"there is no source {source!r}", f"give one of {names}")
    needed, others = _SOURCES[source]
    for name in settings:
        if name not in needed + others:
            hint = f"it has {', '.join(needed + others)}"
            raise InvalidArgumentError(f"the source {source!r} has no setting {name!r}", hint)
    for name in needed:
        if settings.get(name) is None:
            raise InvalidArgumentError(f"the source {source!r} needs {name}")
    defaults = {"beir": {"judged_only": False}, "squad": {"titles": False}}.get(source, {})
    json_settings = settings_of(source=source, **{**defaults, **settings})
    report = reporter(callback, show_progress_bar)
    return _native.convert(json_settings, out, force, resume, report)
