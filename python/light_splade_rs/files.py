"""Files and folders: vectors encoded into files and exported for search engines, models described and exported."""

import json
import os
from collections.abc import Sequence
from typing import Any

from . import _native
from ._model import Path
from ._progress import Callback, reporter
from .errors import InvalidArgumentError
from .index import Documents, records
from .sparse_encoder import SparseEncoder

__all__ = ["encode_files", "export", "export_model", "inspect"]

#: The settings of each target of `export` besides those that all have.
_TARGETS: dict[str, tuple[str, ...]] = {
    "ciff": ("scale", "fit", "query_scale"),
    "csr": ("form", "dimensions"),
    "elasticsearch": ("field", "kind"),
    "lucene": ("scale",),
    "milvus": ("field", "collection", "first_id"),
    "opensearch": ("field", "kind", "ceiling", "query_ceiling"),
    "parquet": (),
    "pgvector": ("field", "table", "first_id", "dimensions"),
    "qdrant": ("field", "first_id"),
    "seismic": (),
    "vespa": ("field", "schema", "scale"),
}


def settings_of(**settings: Any) -> str:
    """The settings that are given as JSON; paths as strings."""

    def plain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    return json.dumps({key: plain(value) for key, value in settings.items() if value is not None})


def paths_of(paths: Path | Sequence[Path]) -> list[Path]:
    """A list of paths; one path becomes a list of it."""
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def encode_files(
    encoder: SparseEncoder | Path,
    texts: Path | Sequence[Path] | Documents,
    output: Path,
    *,
    side: str = "document",
    form: str | None = None,
    resume: bool = False,
    force: bool = False,
    shard_rows: int | None = None,
    keys: str | None = None,
    decimals: int | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    text_field: str | None = None,
    id_field: str | None = None,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
) -> dict[str, int]:
    """Encodes texts of any number into a file, or into a folder of shards that a later call goes on with.

    Args:
        encoder: The model, or its name.
        texts: Files and folders (lines, NDJSON, Parquet, compressed or not), or documents as `Index.add` takes them.
        output: A file that ends in ``.parquet``, ``.ndjson`` or ``.jsonl``; any other name is a folder of shards.
        side: ``"document"`` or ``"query"``.
        form: The form of the shards of a folder, ``"parquet"`` or ``"ndjson"``.
        resume: Goes on where an earlier call into the same folder was stopped.
        force: Replaces what exists.
        shard_rows: The number of rows of a shard.
        keys: The keys of vectors in NDJSON, ``"tokens"`` or ``"ids"``.
        decimals: The decimals of weights in NDJSON.
        top_k: The number of largest weights that are kept; the encoder's ``max_active_dims`` if left out.
        threshold: The least weight that is kept.
        text_field: The field with the text; ``title`` and ``text`` if left out.
        id_field: The field with the id; ``_id``, ``doc_id``, ``qid`` or ``id`` if left out.
        show_progress_bar: Whether a line on standard error tells how far the work is.
        callback: Is called with each event: its kind, and a dictionary of its values.

    Returns:
        ``written``, and ``kept``: the number of vectors that were there already.
    """
    if not isinstance(encoder, SparseEncoder):
        encoder = SparseEncoder(encoder)
    is_paths = isinstance(texts, (str, os.PathLike)) or (
        isinstance(texts, (list, tuple)) and all(isinstance(path, (str, os.PathLike)) for path in texts)
    )
    source: Any = paths_of(texts) if is_paths else records(texts)  # type: ignore[arg-type]
    settings = settings_of(
        output=output,
        side=side,
        form=form,
        resume=resume,
        force=force,
        shard_rows=shard_rows,
        keys=keys,
        decimals=decimals,
        top_k=encoder.max_active_dims if top_k is None else top_k,
        threshold=threshold,
        text_field=text_field,
        id_field=id_field,
    )
    report = reporter(callback, show_progress_bar)
    written, kept = _native.encode_files(encoder._model.native, source, settings, report)
    return {"written": written, "kept": kept}


def export(
    vectors: Path | Sequence[Path],
    target: str,
    out: Path | None = None,
    *,
    queries: Path | Sequence[Path] = (),
    model: Path | None = None,
    tokens: Path | None = None,
    terms: str | None = None,
    resume: bool = False,
    force: bool = False,
    shard_rows: int | None = None,
    any_model: bool = False,
    push: str | None = None,
    index: str | None = None,
    api_key: str | None = None,
    ca_file: Path | None = None,
    append: bool = False,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Writes vectors for a search engine, with its setup and queries, or sends them to a server.

    Args:
        vectors: The files and folders that `encode_files` wrote.
        target: ``"elasticsearch"``, ``"opensearch"``, ``"qdrant"``, ``"lucene"``, ``"milvus"``, ``"vespa"``, ``"ciff"``
            (for PISA and others), ``"pgvector"``, ``"seismic"``, ``"parquet"`` or ``"csr"``.
        out: The folder for what is written; left out with `push`.
        queries: The files and folders of vectors of queries; an example query is made if left out.
        model: The model of the vectors, where they do not name it.
        tokens: A file with the tokens in the order of their ids, in place of a model.
        terms: What terms are called where the target leaves it open, ``"tokens"`` or ``"ids"``.
        resume: Goes on where an earlier call into the same folder was stopped.
        force: Replaces the files of an earlier export in the folder.
        shard_rows: The number of documents of a file.
        any_model: Takes vectors of different models and settings.
        push: The address of a server of Elasticsearch, OpenSearch or Qdrant that receives the documents.
        index: The name of the index or collection of the server.
        api_key: An API key of the server.
        ca_file: A file of certificates that may vouch for the server.
        append: Puts documents into an index that exists already.
        show_progress_bar: Whether a line on standard error tells how far the work is.
        callback: Is called with each event: its kind, and a dictionary of its values.
        **settings: Settings of the target, such as ``field``, ``kind``, ``scale``, ``collection``, ``schema``, ``table``,
            ``first_id`` and ``dimensions``; those of ``light-splade export TARGET`` on the command line.

    Returns:
        ``documents``, their number, and ``was_complete``, whether an earlier call had written all of them.
    """
    known = _TARGETS.get(target)
    if known is None:
        names = ", ".join(f'"{name}"' for name in _TARGETS)
        raise InvalidArgumentError(f"there is no target {target!r}", f"give one of {names}")
    unknown = [name for name in settings if name not in known]
    if unknown:
        hint = f"it has {', '.join(known)}" if known else "it has no settings of its own"
        raise InvalidArgumentError(f"the target {target!r} has no setting {unknown[0]!r}", hint)
    if (push is None) == (out is None):
        raise InvalidArgumentError("give either out or push")
    server = {"index": index, "api_key": api_key, "ca_file": ca_file, "append": append or None}
    if push is None and any(value is not None for value in server.values()):
        raise InvalidArgumentError("index, api_key, ca_file and append are for push")
    of_target = {name: value for name, value in settings.items() if value is not None}
    json_settings = settings_of(
        vectors=paths_of(vectors),
        queries=paths_of(queries),
        out=out,
        model=model,
        tokens=tokens,
        terms=terms,
        resume=resume,
        force=force,
        shard_rows=shard_rows,
        any_model=any_model,
        target={"name": target, **of_target},
        push=None if push is None else json.loads(settings_of(url=push, **server)),
    )
    documents, was_complete = _native.export(json_settings, reporter(callback, show_progress_bar))
    return {"documents": documents, "was_complete": was_complete}


def export_model(
    model: Path,
    out: Path,
    *,
    dtype: str | None = None,
    onnx: str | None = None,
    max_length: int | None = None,
    name: str | None = None,
    languages: Sequence[str] = (),
    license: str | None = None,
    datasets: Sequence[str] = (),
    upload: str | None = None,
    revision: str | None = None,
    private: bool = False,
) -> str:
    """Writes a model as a folder that transformers, sentence-transformers and servers load, with a model card.

    Args:
        model: A folder, a name at the Hugging Face hub, or ``"mini-ja-en"``.
        out: The folder, which must not exist, or be empty.
        dtype: The type of the weights: ``"f32"``, ``"f16"`` or ``"bf16"``.
        onnx: Writes ``model.onnx``, too, with the output ``"logits"`` or ``"vector"``.
        max_length: The longest text in tokens; the model's own if left out.
        name: The name of the model in its card.
        languages: The languages for the card, as codes.
        license: The licence for the card.
        datasets: The data sets for the card.
        upload: The name of a model at the hub, which the folder is uploaded to.
        revision: The branch of the hub, ``main`` if left out.
        private: Whether a model that is made at the hub is a private one.

    Returns:
        A table of the libraries that load the folder.
    """
    settings = settings_of(
        model=model,
        out=out,
        dtype=dtype,
        onnx=onnx,
        max_length=max_length,
        name=name,
        languages=list(languages),
        license=license,
        datasets=list(datasets),
        upload=upload,
        revision=revision,
        private=private,
    )
    table, _url = _native.export_model(settings, reporter())
    return table


def inspect(model: Path) -> str:
    """Describes a model: its architecture, sizes, pooling, tokenizer, prompts and hashes."""
    return _native.inspect(model)
