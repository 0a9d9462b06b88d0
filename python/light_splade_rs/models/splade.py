"""``SpladeEncoder`` and ``Splade`` with the constructor, the methods and the results of the library light_splade 0.1.3.

What is different is in a table of the package's documentation (docs/reference/python.md).
"""

import os
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .. import _forms
from .._model import Model, Path, check_batch_size, check_device, check_texts
from .._progress import Callback, reporter
from ..errors import InvalidArgumentError
from ..tokenizer import Tokenizer
from ..vectors import SparseVectors

__all__ = ["Splade", "SpladeEncoder"]

#: The folder of a query encoder within the folder of a model with two encoders.
QUERY_MODEL_FOLDER = "query_model"

#: The return types of `encode`.
RETURN_TYPES = ("csr_matrix", "numpy", "tensor", "vectors")


class SpladeEncoder:
    """A SPLADE model: texts in, sparse vectors over its vocabulary out.

    >>> from light_splade_rs.models.splade import SpladeEncoder
    >>> encoder = SpladeEncoder(model_path="mini-ja-en")
    >>> embeddings = encoder.encode(["日本の首都は東京です。"])
    >>> encoder.to_sparse(embeddings)[0]
    {'首都': 2.4854, '東京': 2.3135, '日本': 1.6455, 'です': 0.3473}
    """

    def __init__(
        self,
        model_path: Path,
        agg: str = "max",
        device: object = None,
        *,
        precision: str = "f32",
        threads: int | None = None,
        mecab_dicdir: Path | None = None,
    ) -> None:
        """Loads a model.

        Args:
            model_path: A folder, a name at the Hugging Face hub (``org/name`` or ``org/name@revision``), or the built-in
                model's name, ``mini-ja-en``.
            agg: Must be ``"max"``. (``"sum"`` fails in light_splade 0.1.3; a model whose folder says that it sums is
                summed.)
            device: ``None`` or ``"cpu"``.
            precision: ``"f32"``, ``"int8"`` for speed, or ``"bf16"`` for speed on a CPU with AMX.
            threads: The number of threads; one a core if it is left out. Results do not depend on it.
            mecab_dicdir: A compiled MeCab dictionary in place of the model's.
        """
        if agg not in ("max", "sum"):
            raise InvalidArgumentError(f"agg must be one of ['max', 'sum'], but got {agg}")
        if agg == "sum":
            hint = "leave agg out: a model whose own settings say that it sums is summed"
            raise InvalidArgumentError("agg is 'sum', which is a setting of the model", hint)
        check_device(device)
        self.device = "cpu"
        self._options: dict[str, Any] = {
            "precision": precision,
            "threads": threads,
            "mecab_dicdir": None if mecab_dicdir is None else os.fspath(mecab_dicdir),
            # light_splade knows no prompts.
            "document_prompt": "",
            "side": "document",
        }
        self.from_pretrained(model_path)

    def from_pretrained(self, model_path: Path) -> None:
        """Loads another model into this encoder."""
        self._model = Model(model_path, **self._options)
        self.__dict__.pop("avg_token_length", None)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return Tokenizer(self._model)

    @property
    def idx2token(self) -> dict[int, str]:
        """The token of each term id."""
        return dict(enumerate(self._model.tokens))

    @cached_property
    def avg_token_length(self) -> float:
        """The mean number of characters of the tokens of the vocabulary."""
        tokens = self._model.tokens
        return sum(map(len, tokens)) / len(tokens) if tokens else 0.0

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        """The dense vectors, (texts, vocabulary), of token ids, (texts, tokens), as a tensor where the ids are one, and
        as a NumPy array elsewhere. The mask is 1 for tokens and 0 for the padding after them."""
        dense = self._encode_ids(input_ids, attention_mask)
        return dense.to_torch(dense=True) if _forms.is_torch(input_ids) else dense.toarray()

    __call__ = forward

    def _encode_ids(self, input_ids: Any, attention_mask: Any) -> SparseVectors:
        ids, mask = np.asarray(input_ids, np.int64), np.asarray(attention_mask) != 0
        if ids.ndim != 2 or ids.shape != mask.shape:
            message = f"input_ids is {ids.shape} and attention_mask {mask.shape}"
            raise InvalidArgumentError(message, "give two matrices of one shape, (texts, tokens)")
        lengths = mask.sum(axis=1)
        if (mask != (np.arange(ids.shape[1]) < lengths[:, None])).any():
            message = "attention_mask has a 0 before a 1: padding is after the tokens"
            raise InvalidArgumentError(message)
        if ((ids < 0) & mask).any():
            raise InvalidArgumentError("input_ids has an id below 0")
        rows = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
        matrix = self._model.native.encode_ids(rows, "document")
        return SparseVectors(*matrix, self._model.size, self._model.tokens)

    def get_sparse(self, input_ids: Any, attention_mask: Any) -> list[dict[str, float]]:
        """The sparse vectors of token ids, as :meth:`to_sparse` gives them."""
        return self.to_sparse(self._encode_ids(input_ids, attention_mask))

    def to_sparse(self, dense: Any) -> list[dict[str, float]]:
        """Turns vectors into dictionaries from tokens to weights, rounded to four decimals, the largest first.

        Args:
            dense: Vectors in any form that :meth:`encode` returns, (texts, vocabulary).
        """
        shape = getattr(dense, "shape", None)
        if shape is None or len(shape) != 2:
            raise InvalidArgumentError("`dense` must be a matrix that represents a batch of vectors")
        vectors, tokens = _forms.vectors_of(dense, self._model.size), self._model.tokens
        ends = vectors.indptr.tolist()
        terms, weights = vectors.indices.tolist(), vectors.data.tolist()
        sparse = []
        for start, end in pairwise(ends):
            pairs = zip(terms[start:end], weights[start:end], strict=True)
            row = [(tokens[term], round(weight, 4)) for term, weight in pairs]
            sparse.append(dict(sorted(row, key=lambda pair: pair[1], reverse=True)))
        return sparse

    def encode(
        self,
        texts: Sequence[str],
        batch_size: int = 32,
        max_seq_length: int | None = None,
        return_type: str | None = None,
        show_progress_bar: bool = False,
        *,
        callback: Callback | None = None,
    ) -> Any:
        """Encodes texts.

        Args:
            texts: The texts.
            batch_size: A number above 0. Batches are made by tokens; results and memory do not depend on it.
            max_seq_length: The longest text in tokens; the model's limit if it is left out. As in light_splade, a text
                is first cut off at as many characters as so many tokens have on average.
            return_type: ``"csr_matrix"`` for scipy's matrix, ``"numpy"`` for an array and ``"tensor"`` for a tensor, both
                dense, and ``"vectors"`` for :class:`~light_splade_rs.SparseVectors`, which needs no other package. If
                it is left out: a csr_matrix where scipy is installed, and SparseVectors, which has the same arrays,
                where it is not.
            show_progress_bar: Whether a line on standard error tells how far the work is.
            callback: Is called with each event: its kind, and a dictionary of its values.

        Returns:
            The vectors, (texts, vocabulary).
        """
        if return_type is not None and return_type not in RETURN_TYPES:
            names = ", ".join(f'"{name}"' for name in RETURN_TYPES)
            raise InvalidArgumentError(f"`return_type` must be one of {names}")
        if return_type == "tensor":
            _forms.torch_module()
        elif return_type == "csr_matrix":
            _forms.scipy_sparse()
        check_batch_size(batch_size)
        limit = self._model.native.length_limit("document")
        limit = limit if max_seq_length is None else max_seq_length
        longest = int(limit * self.avg_token_length)
        vectors = self._model.encode(
            [text[:longest] for text in check_texts(texts)],
            "document",
            max_length=limit,
            reporter=reporter(callback, show_progress_bar),
        )
        return returned(vectors, return_type)

    def __repr__(self) -> str:
        return f"SpladeEncoder({self._model.name!r}, {self._model.size} terms)"


def returned(vectors: SparseVectors, return_type: str | None) -> Any:
    """The vectors in the form that was asked for."""
    if return_type is None:
        return_type = "csr_matrix" if _forms.has("scipy") else "vectors"
    if return_type == "csr_matrix":
        return vectors.tocsr()
    if return_type == "numpy":
        return vectors.toarray()
    return vectors.to_torch(dense=True) if return_type == "tensor" else vectors


class Splade:
    """An encoder of documents and one of queries: the same one, or two.

    >>> from light_splade_rs.models.splade import Splade
    >>> Splade(d_model_path="mini-ja-en").is_shared_weights
    True
    """

    def __init__(
        self,
        d_model_path: Path,
        q_model_path: Path | None = None,
        freeze_d_model: bool = False,
        agg: str = "max",
        device: object = None,
    ) -> None:
        """Loads one model or two.

        Args:
            d_model_path: The model of the documents.
            q_model_path: The model of the queries; that of the documents if it is left out.
            freeze_d_model: Must be ``False``: training is :func:`light_splade_rs.train`.
            agg: As for :class:`SpladeEncoder`.
            device: As for :class:`SpladeEncoder`.
        """
        if freeze_d_model:
            hint = "train with light_splade_rs.train, whose config has model.freeze_d_model"
            raise InvalidArgumentError("freeze_d_model is a setting of training", hint)
        self.d_encoder = SpladeEncoder(d_model_path, agg, device)
        self.is_shared_weights = q_model_path is None
        self.q_encoder = self.d_encoder if q_model_path is None else SpladeEncoder(q_model_path, agg, device)
        self.d_model_path, self.q_model_path = d_model_path, q_model_path
        self.agg, self.freeze_d_model = agg, freeze_d_model
        if self.d_encoder._model.tokens != self.q_encoder._model.tokens:
            raise InvalidArgumentError("the two encoders have different vocabularies")

    def forward(
        self,
        q_input_ids: Any = None,
        q_attention_mask: Any = None,
        d_input_ids: Any = None,
        d_attention_mask: Any = None,
    ) -> dict[str, Any]:
        """The dense vectors of the token ids that are given: ``q_vector`` and ``d_vector``, or None."""
        given = [
            ("q_vector", self.q_encoder, q_input_ids, q_attention_mask),
            ("d_vector", self.d_encoder, d_input_ids, d_attention_mask),
        ]
        return {name: None if ids is None or mask is None else encoder(ids, mask) for name, encoder, ids, mask in given}

    __call__ = forward

    def to_sparse(self, denses: dict[str, Any]) -> dict[str, list[dict[str, float]]]:
        """Turns what :meth:`forward` returns into dictionaries from tokens to weights."""
        encoders = {"q_vector": self.q_encoder, "d_vector": self.d_encoder}
        return {
            name: encoder.to_sparse(denses[name]) for name, encoder in encoders.items() if denses.get(name) is not None
        }

    def load(self, model_path: Path) -> None:
        """Loads the encoders of a folder that :meth:`save` or a training has written."""
        self.d_encoder.from_pretrained(model_path)
        if not self.is_shared_weights:
            self.q_encoder.from_pretrained(os.path.join(model_path, QUERY_MODEL_FOLDER))

    def save(self, output_dir: Path, save_safetensors: bool = True) -> None:
        """Writes the encoders into a folder that does not exist yet: that of the documents, and that of the queries in
        ``query_model``. Weights are always safetensors."""
        if not save_safetensors:
            raise InvalidArgumentError("weights are only written as safetensors")
        from ..files import export_model

        export_model(self.d_encoder._model.name, output_dir)
        if not self.is_shared_weights:
            export_model(self.q_encoder._model.name, os.path.join(output_dir, QUERY_MODEL_FOLDER))

    def __repr__(self) -> str:
        names = f"d={self.d_encoder!r}"
        return f"Splade({names})" if self.is_shared_weights else f"Splade({names}, q={self.q_encoder!r})"
