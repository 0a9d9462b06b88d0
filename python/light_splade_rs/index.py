"""An index of documents: built and changed with :class:`Index`, searched with :class:`Searcher`."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from . import _forms, _native
from ._model import Model, Path, check_texts
from ._native import Hit
from ._progress import Callback, reporter
from .errors import InvalidArgumentError, SearchIndexError
from .explanation import Share, Shares
from .sparse_encoder import SparseEncoder, is_one

__all__ = ["Hit", "Index", "Searcher"]

#: A document: a pair of an id and a text, or a dictionary with ``_id`` or ``id``, ``text`` and possibly ``title``.
Document = tuple[str, str] | Mapping[str, Any]

#: Documents: any iterable of them, or a dictionary from ids to texts.
Documents = Iterable[Document] | Mapping[str, str]


def pairs(documents: Documents) -> Iterator[tuple[str, str]]:
    """The ids and texts of documents; a title is put before its text."""
    if isinstance(documents, Mapping):
        yield from ((str(id), text) for id, text in documents.items())
        return
    for at, document in enumerate(documents):
        if isinstance(document, Mapping):
            id = next((document[key] for key in ("_id", "id") if key in document), None)
            if id is None or "text" not in document:
                fields = ", ".join(map(str, document))
                message = f"document {at} has no id and text (its fields are {fields})"
                raise InvalidArgumentError(message, 'give "id" and "text", or pairs')
            title = document.get("title")
            yield str(id), f"{title} {document['text']}" if title else document["text"]
        else:
            if isinstance(document, str) or len(document) != 2:
                message = f"document {at} is no pair of an id and a text"
                raise InvalidArgumentError(message, "give (id, text), or dictionaries")
            yield str(document[0]), document[1]


def _model_of(encoder: SparseEncoder | Path) -> Model:
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
            resume: Goes on with an index that was begun with the same settings. Documents that it has stay as they are.
            memory: The bytes that documents may take in memory until they are written, about.
            threads: The number of threads that write; one a core if left out.
        """
        model = None if encoder is None else _model_of(encoder)
        if top_k is None and model is not None:
            top_k = model.max_active_dims
        settings = _settings(weights=weights, side=side, top_k=top_k, threshold=threshold, memory=memory, threads=threads)
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
            encoder: The model of the documents; the one that the index names if left out.
            new_only: Leaves documents as they are that the index has.
            any_model: Adds vectors of other models and settings than those of the index.
            memory: The bytes that documents may take in memory until they are written, about.
            threads: The number of threads that write; one a core if left out.
        """
        settings = _settings(new_only=new_only, any_model=any_model, memory=memory, threads=threads)
        native = _native.Index.open(folder, settings)
        model = None if encoder is None else _model_of(encoder)
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
        return self._native.add_texts(self._model.native, pairs(documents), report)

    def add_vectors(self, ids: Sequence[str], vectors: Any) -> int:
        """Adds vectors of this model, in any form that `encode` returns, (documents, vocabulary); returns their
        number."""
        size = json.loads(self._native.provenance()).get("vocab") or _forms.width(vectors)
        matrix = _forms.vectors_of(vectors, size)
        return self._native.add_vectors(list(map(str, ids)), _forms.arrays(matrix))

    def delete(self, ids: str | Iterable[str]) -> int:
        """Deletes documents by their ids; returns the number of those that were there."""
        return self._native.delete([ids] if isinstance(ids, str) else list(ids))

    def commit(self) -> dict[str, Any]:
        """Writes all changes, so that searchers that open the index from now on see them; returns its size and state."""
        self._is_new = False
        return self._native.commit()

    def merge(self) -> dict[str, Any]:
        """Commits, and rewrites all documents into as few files as possible, without the deleted ones."""
        self._is_new = False
        return self._native.merge()

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


class Searcher:
    """An index that is open for search, in the state of its last commit. Many threads may use it at once.

    >>> from light_splade_rs import Searcher
    >>> searcher = Searcher(folder)  # doctest: +SKIP
    >>> searcher.search("首都", k=1)  # doctest: +SKIP
    [Hit(id="tokyo", score=9.5178)]
    """

    def __init__(
        self,
        folder: Path,
        encoder: SparseEncoder | Path | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        """Opens an index.

        Args:
            folder: The folder of the index.
            encoder: The model that encodes queries; the one that the index names if left out. It is loaded when the
                first query is a text.
            threads: The number of threads that search many queries; one a core if left out.
        """
        self.path = os.fspath(folder)
        self.threads = threads
        self._model = None if encoder is None else _model_of(encoder)
        encoding = None if self._model is None else self._model.native
        self._native = _native.Searcher(folder, encoding)
        self._provenance = json.loads(self._native.provenance() or "{}") or {}

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _searcher, (self.path, self._model, self.threads)

    @property
    def info(self) -> dict[str, Any]:
        """The size and the state of the index: ``documents``, ``postings``, ``bytes`` and others."""
        return self._native.info()

    def _encoder(self) -> Model:
        if self._model is None:
            name = self._provenance.get("model")
            if name is None:
                message = f"the index {self.path} was built of vectors and names no model"
                raise SearchIndexError(message, "give Searcher an encoder, or search vectors")
            model = Model(name, side="query")
            # Refuses a model that has changed since.
            self._native = _native.Searcher(self.path, model.native)
            self._model = model
        return self._model

    def search(
        self,
        query: Any,
        k: int = 10,
        *,
        filter: Iterable[str] | None = None,
        threshold: float | None = None,
        recall: float | None = None,
    ) -> list[Hit]:
        """The best documents for a query, in descending order of their scores.

        Args:
            query: A text, or a vector, (vocabulary,).
            k: The number of documents.
            filter: The ids of the documents that may be found.
            threshold: The least score.
            recall: Searches approximately, for this share of the true hits, which is faster; exactly if left out.

        Returns:
            Hits with ``id`` and ``score``.
        """
        queries = [query] if isinstance(query, str) or not is_one(query) else query
        [hits] = self.search_many(queries, k, filter=filter, threshold=threshold, recall=recall)
        return hits

    def search_many(
        self,
        queries: Any,
        k: int = 10,
        *,
        filter: Iterable[str] | None = None,
        threshold: float | None = None,
        recall: float | None = None,
        callback: Callback | None = None,
    ) -> list[list[Hit]]:
        """The best documents for each of many queries, which are searched on all threads; arguments as for `search`.

        Args:
            queries: Texts, or vectors in any form that `encode` returns, (queries, vocabulary).
        """
        if k < 1:
            raise InvalidArgumentError(f"k is {k}", "give a number above 0")
        how = {
            "k": k,
            "threshold": threshold,
            "filter": None if filter is None else list(filter),
            "recall": recall,
        }
        report = reporter(callback)
        if isinstance(queries, (list, tuple)) and all(isinstance(query, str) for query in queries):
            model = self._encoder()
            texts = check_texts(queries)
            if model.max_active_dims is not None:
                vectors = model.encode(texts, "query", reporter=report)
                return self._native.search_vectors(_forms.arrays(vectors), how, self.threads, report)
            return self._native.search_texts(model.native, texts, how, self.threads, report)
        arrays = _forms.arrays(self._vectors(queries))
        return self._native.search_vectors(arrays, how, self.threads, report)

    def _vectors(self, queries: Any) -> Any:
        size = self._provenance.get("vocab") or _forms.width(queries)
        return _forms.vectors_of(queries, size)

    def explain(self, query: Any, id: str) -> Shares:
        """What each term of a query gives to the score of a document, the largest first.

        Args:
            query: A text, or a vector, (vocabulary,).
            id: The id of the document.
        """
        if isinstance(query, str):
            vector = self._encoder().encode([query], "query")
        else:
            vector = self._vectors(query)
        shares = self._native.explain(_forms.arrays(vector), id)
        if shares is None:
            raise SearchIndexError(f"document {id!r} is not in the index")
        model = self._model
        name = (lambda term: f"[{term}]") if model is None else model.tokens.__getitem__
        return Shares(Share(name(term), *weights) for term, *weights in shares)

    def vector(self, id: str) -> Any:
        """The vector of a document as the index keeps it, or None where there is no such document."""
        from .vectors import SparseVectors

        arrays = self._native.vector(id)
        if arrays is None:
            return None
        tokens = None if self._model is None else self._model.tokens
        size = self._provenance.get("vocab") or int(arrays[1].max(initial=-1)) + 1
        return SparseVectors(*arrays, size, tokens)[0]

    def __repr__(self) -> str:
        return f"Searcher({self.path!r}, {self.info['documents']} documents)"


def _searcher(path: str, model: Model | None, threads: int | None) -> Searcher:
    searcher = Searcher(path, threads=threads)
    searcher._model = model
    return searcher
