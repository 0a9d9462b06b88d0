"""An index of documents that is open for changes. It is searched with :class:`~light_splade_rs.Searcher`."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from . import _forms, _native
from ._model import Model, Path
from ._progress import Callback, logger, reporter
from .errors import InvalidArgumentError, SearchIndexError
from .sparse_encoder import SparseEncoder

__all__ = ["Index"]

#: A document: a pair of an id and a text, or a dictionary with ``_id`` or ``id``, ``text`` and possibly ``title``.
Document = tuple[str, str] | Mapping[str, Any]

#: Documents: any iterable of them, or a dictionary from ids to texts.
Documents = Iterable[Document] | Mapping[str, str]


def records(documents: Documents) -> Iterator[tuple[str, str, str]]:
    """The ids, titles and texts of documents. The title is empty where there is none."""
    if isinstance(documents, Mapping):
        yield from ((str(id), "", text) for id, text in documents.items())
        return
    for at, document in enumerate(documents):
        if isinstance(document, Mapping):
            id = next((document[key] for key in ("_id", "id") if key in document), None)
            if id is None or "text" not in document:
                fields = ", ".join(map(str, document))
                message = f"document {at} has no id and text (its fields are {fields})"
                raise InvalidArgumentError(message, 'give "id" and "text", or pairs')
            yield str(id), str(document.get("title") or ""), document["text"]
        else:
            if isinstance(document, str) or len(document) != 2:
                message = f"document {at} is no pair of an id and a text"
                raise InvalidArgumentError(message, "give (id, text), or dictionaries")
            yield str(document[0]), "", document[1]


def model_of(encoder: SparseEncoder | Path) -> Model:
    if isinstance(encoder, SparseEncoder):
        return encoder._model
    return SparseEncoder(encoder)._model


def _settings(**settings: Any) -> str:
    return json.dumps({key: value for key, value in settings.items() if value is not None})


class Index:
    """An index that is open for changes.

    >>> import tempfile, os
    >>> from light_splade_rs import Index, SparseEncoder
    >>> folder = os.path.join(tempfile.mkdtemp(), "notes")
    >>> with Index.create(folder, SparseEncoder("mini-ja-en")) as index:
    ...     index.add([("tokyo", "日本の首都は東京です。"), ("osaka", "大阪万博は2025年に開催されます。")])
    2
    >>> with Index.open(folder) as index:
    ...     index.delete("osaka")
    1

    At the end of a ``with`` block, changes are committed. After an exception they are not; Ctrl-C alone keeps the
    documents that were added before it, and `Index.create(…, resume=True)` goes on from there. One process at a time
    may change an index; searchers are not disturbed.
    """

    def __init__(self, native: _native.Index, folder: str, model: Model | None, is_new: bool) -> None:
        self._native = native
        self._model = model
        self._is_new = is_new
        self._closed = False
        self.path = folder

    @classmethod
    def create(
        cls,
        folder: Path,
        encoder: SparseEncoder | Path | None,
        *,
        weights: str = "u8",
        side: str = "document",
        top_k: int | None = None,
        threshold: float | None = None,
        store: bool = False,
        bm25: bool | Mapping[str, float] = False,
        resume: bool = False,
        memory: int | None = None,
        threads: int | None = None,
    ) -> "Index":
        """Begins an index.

        Args:
            folder: A folder that is empty or does not exist.
            encoder: The model of the documents, or its name; ``None`` for vectors from elsewhere.
            weights: How weights are kept: ``"u8"`` (8 bits), ``"f16"``, or ``"f32"`` (exactly).
            side: The encoder that encodes the documents.
            top_k: The number of largest weights that are kept of a document; the encoder's ``max_active_dims`` if left
                out.
            threshold: The least weight that is kept.
            store: Keeps the titles and texts of documents, which `Searcher.document` and `Searcher.snippets` return and
                a cross-encoder reads.
            bm25: Keeps BM25 beside the vectors, over the tokens of the encoder, for searches with ``mode="bm25"`` and
                ``mode="hybrid"``: ``True``, or its parameters, ``{"k1": 0.9, "b": 0.4}``. It needs ``store=True``.
            resume: Goes on with an index that was begun with the same settings. Documents that it has stay as they are.
            memory: The bytes that documents may take in memory until they are written, about.
            threads: The number of threads that write; one a core if left out.
        """
        model = None if encoder is None else model_of(encoder)
        if top_k is None and model is not None:
            top_k = model.max_active_dims
        settings = _settings(
            weights=weights,
            side=side,
            top_k=top_k,
            threshold=threshold,
            store=store,
            bm25=({} if bm25 is True else dict(bm25)) if bm25 is not False else None,
            memory=memory,
            threads=threads,
        )
        encoding = None if model is None else model.native
        native = _native.Index.create(folder, encoding, settings, resume)
        return cls(native, os.fspath(folder), model, is_new=not resume)

    @classmethod
    def open(
        cls,
        folder: Path,
        encoder: SparseEncoder | Path | None = None,
        *,
        new_only: bool = False,
        any_model: bool = False,
        memory: int | None = None,
        threads: int | None = None,
    ) -> "Index":
        """Opens an index for changes.

        Args:
            folder: The folder of the index.
            encoder: The model of the documents; the one that the index names if left out. An index with BM25 takes the
                tokens of documents from it as well.
            new_only: Leaves documents as they are that the index has.
            any_model: Adds vectors of other models and settings than those of the index.
            memory: The bytes that documents may take in memory until they are written, about.
            threads: The number of threads that write; one a core if left out.
        """
        settings = _settings(new_only=new_only, any_model=any_model, memory=memory, threads=threads)
        native = _native.Index.open(folder, settings)
        model = None if encoder is None else model_of(encoder)
        return cls(native, os.fspath(folder), model, is_new=False)

    def add(
        self,
        documents: Documents,
        *,
        show_progress_bar: bool = False,
        callback: Callback | None = None,
    ) -> int:
        """Encodes documents and adds them; a document whose id is there is replaced.

        Args:
            documents: Pairs of an id and a text, or dictionaries with ``id`` (or ``_id``), ``text`` and possibly
                ``title``; any iterable, of any length, which is read as it is encoded. Or a dictionary from ids to texts.
            show_progress_bar: Whether a line on standard error tells how far the work is.
            callback: Is called with each event: its kind, and a dictionary of its values.

        Returns:
            The number of documents.
        """
        if self._model is None:
            self._model = _model_named(json.loads(self._native.provenance()), self.path)
        report = reporter(callback, show_progress_bar)
        return self._native.add_texts(self._model.native, records(documents), report)

    def add_vectors(self, ids: Sequence[str], vectors: Any) -> int:
        """Adds vectors of this model, in any form that `encode` returns, (documents, vocabulary); returns their
        number. An index that stores texts has none of these documents, and BM25 does not find them."""
        if self._native.stores():
            logger.warning("the index keeps texts, but vectors have none: these documents are searched without them")
        size = json.loads(self._native.provenance()).get("vocab") or _forms.width(vectors)
        matrix = _forms.vectors_of(vectors, size)
        return self._native.add_vectors(list(map(str, ids)), _forms.arrays(matrix))

    def delete(self, ids: str | Iterable[str]) -> int:
        """Deletes documents by their ids; returns the number of those that were there."""
        return self._native.delete([ids] if isinstance(ids, str) else list(ids))

    def commit(self) -> dict[str, Any]:
        """Writes all changes, so that searchers that open the index from now on see them; returns its size and state."""
        self._is_new = False
        return self._native.commit(self._encoding())

    def merge(self) -> dict[str, Any]:
        """Commits, and rewrites all documents into as few files as possible, without the deleted ones. BM25 is made anew,
        with the mean length that the documents have now."""
        self._is_new = False
        return self._native.merge(self._encoding())

    def _encoding(self) -> _native.Encoder | None:
        return None if self._model is None else self._model.native

    def close(self) -> None:
        """Forgets what is not committed, and lets others write."""
        self._closed = True
        self._native.close()

    @staticmethod
    def verify(folder: Path) -> dict[str, int]:
        """Reads every byte of an index and compares it with its checksum."""
        segments, size, documents = _native.verify(folder)
        return {"segments": segments, "bytes": size, "documents": documents}

    def __enter__(self) -> "Index":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._closed:
            return
        stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        if kind is None or (stopped and self._native.put() > 0):
            self.commit()
        elif self._is_new:
            # An index without a commit would be in the way of another try.
            self._native.abandon()
        self.close()

    def __repr__(self) -> str:
        return f"Index({self.path!r})"


def _model_named(provenance: dict[str, Any], path: str) -> Model:
    """The model that an index names, for documents as the index has them."""
    if provenance.get("model") is None or provenance.get("as") is None:
        message = f"the index {path} does not say how its documents were encoded"
        raise SearchIndexError(message, "add vectors, or give the encoder")
    side = provenance["as"]
    return Model(
        provenance["model"],
        precision=provenance["precision"],
        max_length=provenance["max_length"],
        side=side,
        **{f"{side}_prompt": provenance["prompt"]},
    )
