"""Cross-encoders, with the methods of sentence-transformers' class of this name."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _forms, _native
from ._model import Path, check_batch_size, check_device
from ._progress import Callback, reporter
from .errors import InvalidArgumentError

__all__ = ["CrossEncoder"]


class CrossEncoder:
    """A model that reads a query and a document as one text and scores the pair."""

    def __init__(
        self,
        model_name_or_path: Path,
        *,
        device: object = None,
        max_length: int | None = None,
        precision: str = "f32",
        threads: int | None = None,
        mecab_dicdir: Path | None = None,
    ) -> None:
        """Loads a model: a folder of a ``…ForSequenceClassification``, or a name at the Hugging Face hub.

        Args:
            model_name_or_path: The folder or the name.
            device: ``None`` or ``"cpu"``.
            max_length: The longest pair in tokens; the model's own limit if left out.
            precision: ``"f32"``, ``"int8"`` for speed, or ``"bf16"`` for speed on a CPU with AMX.
            threads: The number of threads; one a core if left out. Results do not depend on it.
            mecab_dicdir: A compiled MeCab dictionary in place of the model's.
        """
        check_device(device)
        self.name = os.fspath(model_name_or_path)
        self.options: dict[str, Any] = {
            "max_length": max_length,
            "precision": precision,
            "threads": threads,
            "mecab_dicdir": mecab_dicdir,
        }
        self._native = _native.CrossEncoder(self.name, **self.options, reporter=reporter())

    def __reduce__(self) -> tuple[Any, tuple[str, dict[str, Any]]]:
        return _load, (self.name, self.options)

    @property
    def num_labels(self) -> int:
        """The number of labels, which is the number of logits of a pair."""
        return self._native.labels

    def predict(
        self,
        inputs: Sequence[tuple[str, str]] | tuple[str, str],
        batch_size: int = 32,
        show_progress_bar: bool = False,
        activation_fn: str | None = None,
        apply_softmax: bool = False,
        convert_to_tensor: bool = False,
        *,
        callback: Callback | None = None,
    ) -> Any:
        """Scores pairs.

        Args:
            inputs: Pairs of texts, or one pair.
            batch_size: A number above 0. Batches are made by tokens; results do not depend on it.
            show_progress_bar: Whether a line on standard error tells how far the work is.
            activation_fn: ``"sigmoid"`` or ``"identity"``; what the model's folder says if left out.
            apply_softmax: Whether the scores of several labels become probabilities.
            convert_to_tensor: Whether the result is a tensor of PyTorch.
            callback: Is called with each event: its kind, and a dictionary of its values.

        Returns:
            The scores, (pairs,) for a model with one label and (pairs, labels) for others; without the first axis for
            one pair.
        """
        check_batch_size(batch_size)
        if activation_fn not in (None, "sigmoid", "identity"):
            message = f"activation_fn is {activation_fn!r}"
            raise InvalidArgumentError(message, 'give "sigmoid" or "identity"')
        single = len(inputs) == 2 and all(isinstance(text, str) for text in inputs)
        pairs: list[tuple[str, str]] = []
        for at, pair in enumerate([inputs] if single else inputs):
            if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                raise InvalidArgumentError(f"pair {at} is no pair of two texts")
            pairs.append((str(pair[0]), str(pair[1])))
        logits = self._native.logits(pairs, reporter(callback, show_progress_bar))
        sigmoid = activation_fn == "sigmoid" or (activation_fn is None and self._native.has_sigmoid)
        scores = _sigmoid(logits) if sigmoid else logits
        if apply_softmax and self.num_labels > 1:
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
        if self.num_labels == 1:
            scores = scores[:, 0]
        result: Any = _forms.torch_module().from_numpy(scores) if convert_to_tensor else scores
        return result[0] if single else result

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        batch_size: int = 32,
        show_progress_bar: bool = False,
    ) -> list[dict[str, Any]]:
        """Ranks documents for a query.

        Args:
            query: The query.
            documents: The documents.
            top_k: The number of documents that are returned; all if left out.
            return_documents: Whether results have the ``text`` of the document.

        Returns:
            Dictionaries with ``corpus_id`` (the place of the document in the list) and ``score``, the best first.
        """
        if self.num_labels != 1:
            message = f"the model has {self.num_labels} labels, but a ranking needs one score"
            raise InvalidArgumentError(message)
        pairs = [(query, document) for document in documents]
        scores = self.predict(pairs, batch_size, show_progress_bar)
        order = np.argsort(-scores, kind="stable")[:top_k]
        results: list[dict[str, Any]] = []
        for at in order.tolist():
            result: dict[str, Any] = {"corpus_id": at, "score": scores[at]}
            if return_documents:
                result["text"] = documents[at]
            results.append(result)
        return results

    def __repr__(self) -> str:
        return f"CrossEncoder({self.name!r}, {self.num_labels} labels)"


def _sigmoid(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-x.astype(np.float64)))).astype(np.float32)


def _load(name: str, options: dict[str, Any]) -> CrossEncoder:
    return CrossEncoder(name, **options)
