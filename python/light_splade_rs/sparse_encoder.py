"""``SparseEncoder`` with the methods and arguments of sentence-transformers 6, for what an encoder does.

What is different is in a table of the package's documentation (docs/reference/python.md).
"""

import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _forms, _native
from ._model import Model, Path, check_batch_size, check_device, check_dims
from ._progress import Callback, reporter
from .errors import InvalidArgumentError
from .explanation import Explanation
from .models.splade import RETURN_TYPES, returned
from .tokenizer import Tokenizer
from .vectors import SparseVector, SparseVectors

__all__ = ["SparseEncoder"]

#: The names of prompts that `encode_query` and `encode_document` look for.
_PROMPT_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}


class SparseEncoder:
    """A SPLADE model with an encoder of queries and one of documents.

    >>> from light_splade_rs import SparseEncoder
    >>> model = SparseEncoder("mini-ja-en")
    >>> vector = model.encode_query("日本の首都", return_type="vectors")
    >>> [token for token, weight in model.decode(vector, top_k=2)]
    ['首都', '日本']

    An encoder is pickled by the name of its model, and may be used by many threads at once.
    """

    def __init__(
        self,
        model_name_or_path: Path,
        *,
        device: object = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        revision: str | None = None,
        similarity_fn_name: str | None = None,
        max_active_dims: int | None = None,
        precision: str = "f32",
        max_seq_length: int | None = None,
        threads: int | None = None,
        mecab_dicdir: Path | None = None,
    ) -> None:
        """Loads a model.

        Args:
            model_name_or_path: A folder, a name at the Hugging Face hub (``org/name`` or ``org/name@revision``), or the
                built-in model's name, ``mini-ja-en``.
            device: ``None`` or ``"cpu"``.
            prompts: Texts that are put before a text, by their names; those of the model if left out.
            default_prompt_name: The name of the prompt of `encode`; that of the model if left out.
            revision: The branch, tag or commit of a model of the hub.
            similarity_fn_name: ``"dot"`` or ``"cosine"``; that of the model, usually dot, if left out.
            max_active_dims: The number of largest weights that are kept of a vector; the model's own if left out.
            precision: ``"f32"``, ``"int8"`` for speed, or ``"bf16"`` for speed on a CPU with AMX.
            max_seq_length: The longest text in tokens; the model's own if left out.
            threads: The number of threads; one a core if left out. Results do not depend on it.
            mecab_dicdir: A compiled MeCab dictionary in place of the model's.
        """
        check_device(device)
        name = os.fspath(model_name_or_path)
        if revision is not None:
            name = f"{name}@{revision}"
        self.device = "cpu"
        check_dims(max_active_dims)
        options: dict[str, Any] = {
            "precision": precision,
            "max_length": max_seq_length,
            "threads": threads,
            "mecab_dicdir": None if mecab_dicdir is None else os.fspath(mecab_dicdir),
        }
        # What is given replaces the model's own prompts in every function, not only in those of this class.
        for side, names in _PROMPT_NAMES.items():
            given = [name for name in names if prompts and name in prompts]
            options[f"{side}_prompt"] = prompts[given[0]] if prompts and given else None
        self._model = Model(name, max_active_dims=max_active_dims, **options)
        config = self._read_config()
        self.prompts: dict[str, str] = dict(config.get("prompts") or {})
        for side, names in _PROMPT_NAMES.items():
            # The prompts of a model that are not in this file, as those of a folder of light-splade.
            if not any(name in self.prompts for name in names):
                self.prompts[side] = self._model.native.prompt(side)
        self.prompts |= prompts or {}
        self.default_prompt_name = default_prompt_name or config.get("default_prompt_name")
        if self.default_prompt_name is not None:
            self._prompt(self.default_prompt_name)
        self.similarity_fn_name = similarity_fn_name or config.get("similarity_fn_name") or "dot"

    def _read_config(self) -> dict[str, Any]:
        folder = _native.model_folder(self._model.name)
        path = os.path.join(folder, "config_sentence_transformers.json")
        if not os.path.isfile(path):
            return {}
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        return config if isinstance(config, dict) else {}

    @property
    def max_active_dims(self) -> int | None:
        """The number of largest weights that are kept of a vector, or None for as many as the model says."""
        return self._model.max_active_dims

    @property
    def similarity_fn_name(self) -> str:
        """How `similarity` compares vectors: ``"dot"`` or ``"cosine"``."""
        return self._similarity_fn_name

    @similarity_fn_name.setter
    def similarity_fn_name(self, name: str) -> None:
        if name not in ("dot", "cosine"):
            message = f"similarity_fn_name is {name!r}"
            raise InvalidArgumentError(message, 'give "dot", as SPLADE is trained, or "cosine"')
        self._similarity_fn_name = name

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the documents."""
        return Tokenizer(self._model)

    @property
    def max_seq_length(self) -> int:
        """The longest text in tokens."""
        return self._model.native.max_length("document")

    def get_max_seq_length(self) -> int:
        """The longest text in tokens."""
        return self.max_seq_length

    def get_embedding_dimension(self) -> int:
        """The number of terms of the vocabulary: the dimension of the vectors."""
        return self._model.size

    get_sentence_embedding_dimension = get_embedding_dimension

    def tokenize(self, texts: Sequence[str]) -> dict[str, Any]:
        """The token ids of texts, cut off and padded, and their mask."""
        return self.tokenizer(texts, padding=True, truncation=True, return_tensors="np")

    def encode(
        self,
        inputs: str | Sequence[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool = True,
        save_to_cpu: bool = False,
        device: object = None,
        max_active_dims: int | None = None,
        *,
        return_type: str | None = None,
        callback: Callback | None = None,
    ) -> Any:
        """Encodes texts by the encoder of documents, with the default prompt if there is one.

        Args:
            inputs: A text, or a list of texts.
            prompt_name: The name of a prompt of `prompts`.
            prompt: The text that is put before every text, in place of a prompt by its name.
            batch_size: A number above 0. Batches are made by tokens; results and memory do not depend on it.
            show_progress_bar: Whether a line on standard error tells how far the work is. If it is left out: where this
                package's logger is at the level INFO or DEBUG.
            convert_to_tensor: Whether the result is one matrix, or a list of vectors.
            convert_to_sparse_tensor: Whether tensors are sparse.
            save_to_cpu: Vectors are always in the memory of the CPU.
            device: ``None`` or ``"cpu"``.
            max_active_dims: The number of largest weights that are kept of a vector.
            return_type: ``"tensor"``, ``"csr_matrix"``, ``"numpy"`` or ``"vectors"``. If it is left out: a tensor where
                PyTorch is installed, else :class:`~light_splade_rs.SparseVectors`.
            callback: Is called with each event: its kind, and a dictionary of its values.

        Returns:
            The vectors, (texts, vocabulary), or that of the one text, (vocabulary,).
        """
        if prompt is None:
            name = prompt_name if prompt_name is not None else self.default_prompt_name
            prompt = "" if name is None else self._prompt(name)
        return self._encode(
            inputs,
            "document",
            prompt,
            (batch_size, show_progress_bar, device, callback),
            (convert_to_tensor, convert_to_sparse_tensor, return_type),
            max_active_dims,
        )

    def encode_query(
        self,
        inputs: str | Sequence[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool = True,
        save_to_cpu: bool = False,
        device: object = None,
        max_active_dims: int | None = None,
        *,
        return_type: str | None = None,
        callback: Callback | None = None,
    ) -> Any:
        """Encodes queries by the encoder of queries, with the prompt for queries; arguments as for `encode`."""
        return self._encode(
            inputs,
            "query",
            self._side_prompt("query", prompt_name, prompt),
            (batch_size, show_progress_bar, device, callback),
            (convert_to_tensor, convert_to_sparse_tensor, return_type),
            max_active_dims,
        )

    def encode_document(
        self,
        inputs: str | Sequence[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool = True,
        save_to_cpu: bool = False,
        device: object = None,
        max_active_dims: int | None = None,
        *,
        return_type: str | None = None,
        callback: Callback | None = None,
    ) -> Any:
        """Encodes documents by the encoder of documents, with the prompt for documents; arguments as for `encode`."""
        return self._encode(
            inputs,
            "document",
            self._side_prompt("document", prompt_name, prompt),
            (batch_size, show_progress_bar, device, callback),
            (convert_to_tensor, convert_to_sparse_tensor, return_type),
            max_active_dims,
        )

    def _prompt(self, name: str) -> str:
        if name not in self.prompts:
            names = ", ".join(repr(name) for name in self.prompts)
            raise InvalidArgumentError(f"there is no prompt {name!r}", f"give one of {names}")
        return self.prompts[name]

    def _side_prompt(self, side: str, name: str | None, prompt: str | None) -> str:
        if prompt is not None:
            return prompt
        if name is not None:
            return self._prompt(name)
        return next((self.prompts[name] for name in _PROMPT_NAMES[side] if name in self.prompts), "")

    def _encode(
        self,
        inputs: str | Sequence[str],
        side: str,
        prompt: str,
        how: tuple[int, bool | None, object, Callback | None],
        form: tuple[bool, bool, str | None],
        max_active_dims: int | None,
    ) -> Any:
        batch_size, show_progress_bar, device, callback = how
        convert_to_tensor, convert_to_sparse_tensor, return_type = form
        check_device(device)
        check_batch_size(batch_size)
        check_dims(max_active_dims)
        if return_type not in (None, *RETURN_TYPES):
            names = ", ".join(f'"{name}"' for name in RETURN_TYPES)
            raise InvalidArgumentError(f"return_type is {return_type!r}", f"give one of {names}")
        if return_type is None:
            return_type = "tensor" if _forms.has("torch") else "vectors"
        if show_progress_bar is None:
            level = logging.getLogger("light_splade_rs").getEffectiveLevel()
            show_progress_bar = level <= logging.INFO
        vectors = self._model.encode(
            [inputs] if isinstance(inputs, str) else inputs,
            side,
            prompt=prompt,
            max_active_dims=self.max_active_dims if max_active_dims is None else max_active_dims,
            reporter=reporter(callback, show_progress_bar),
        )
        if return_type == "vectors":
            rows: Any = vectors if convert_to_tensor else list(vectors)
        elif return_type == "tensor":
            matrix = vectors.to_torch(dense=not convert_to_sparse_tensor)
            rows = matrix if convert_to_tensor else list(matrix)
        else:
            matrix = returned(vectors, return_type)
            rows = matrix if convert_to_tensor else [matrix[row] for row in range(len(vectors))]
        return rows[0] if isinstance(inputs, str) else rows

    def explain(self, text: str, side: str = "document") -> Explanation:
        """Tells for each term of a text's vector which token of the text gave it its weight.

        Args:
            text: A text.
            side: ``"document"`` or ``"query"``.
        """
        prompt = self._side_prompt(side, None, None)
        tokens, terms, weights, positions = self._model.native.explain(text, side, prompt=prompt)
        names = [self._model.tokens[term] for term in terms]
        rows = zip(names, weights, positions, strict=True)
        return Explanation(tokens, [(name, weight, tokens[at]) for name, weight, at in rows])

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The scores of vectors with each other.

        Args:
            embeddings1: Vectors in any form that `encode` returns, (m, vocabulary) or (vocabulary,).
            embeddings2: The same, (n, vocabulary) or (vocabulary,).

        Returns:
            The scores, (m, n): a tensor where one of the two is a tensor, else a NumPy array.
        """
        a, b = self._normal(embeddings1), self._normal(embeddings2)
        return self._like(a.dot(b), embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The scores of pairs of vectors, (n,), of two matrices with n rows."""
        a, b = self._normal(embeddings1), self._normal(embeddings2)
        scores = _native.pairwise(_forms.arrays(a), _forms.arrays(b))
        return self._like(scores, embeddings1, embeddings2)

    def _normal(self, embeddings: Any) -> SparseVectors:
        vectors = self._vectors(embeddings)
        if self.similarity_fn_name == "dot":
            return vectors
        rows = np.repeat(np.arange(len(vectors)), np.diff(vectors.indptr))
        squares = np.bincount(rows, vectors.data.astype(np.float64) ** 2, minlength=len(vectors))
        lengths = np.sqrt(np.maximum(squares, 1e-24))
        data = (vectors.data / lengths[rows]).astype(np.float32)
        return SparseVectors(vectors.indptr, vectors.indices, data, vectors.size, vectors.tokens)

    def _like(self, scores: Any, *embeddings: Any) -> Any:
        def has_tensor(value: Any) -> bool:
            first = value[0] if isinstance(value, list) and value else value
            return _forms.is_torch(first)

        if any(map(has_tensor, embeddings)):
            return _forms.torch_module().from_numpy(scores)
        return scores

    def _vectors(self, embeddings: Any) -> SparseVectors:
        return _forms.vectors_of(embeddings, self._model.size, self._model.tokens)

    def decode(
        self, embeddings: Any, top_k: int | None = None
    ) -> list[tuple[str, float]] | list[list[tuple[str, float]]]:
        """The tokens of vectors with their weights, the largest first.

        Args:
            embeddings: Vectors in any form that `encode` returns.
            top_k: The number of tokens; all if it is left out.

        Returns:
            A list of tokens with weights for one vector, (vocabulary,); a list of such lists for several.
        """
        if top_k is not None and top_k <= 0:
            raise InvalidArgumentError(f"top_k is {top_k}", "give a number above 0")
        decoded = self._vectors(embeddings).decode(top_k)
        return decoded[0] if is_one(embeddings) else decoded

    def intersection(self, embeddings_1: Any, embeddings_2: Any) -> Any:
        """What each term gives to a score: the products of the weights of the terms that two vectors have in common.

        Args:
            embeddings_1: One vector, (vocabulary,).
            embeddings_2: One vector, or several, (n, vocabulary).

        Returns:
            Vectors of the shape of `embeddings_2`; a sparse tensor where that is a tensor.
        """
        if not is_one(embeddings_1):
            raise InvalidArgumentError("embeddings_1 is not one vector", "give one row of a matrix")
        weights = self._vectors(embeddings_1)[0].toarray()
        vectors = self._vectors(embeddings_2)
        data = vectors.data * weights[vectors.indices]
        shared = data > 0
        counts = np.concatenate([[0], np.cumsum(shared)])
        product = SparseVectors(
            counts[vectors.indptr].astype(np.int32),
            vectors.indices[shared],
            data[shared],
            vectors.size,
            self._model.tokens,
        )
        result: Any = product.to_torch() if _forms.is_torch(embeddings_2) else product
        return result[0] if is_one(embeddings_2) else result

    @staticmethod
    def sparsity(embeddings: Any) -> dict[str, float]:
        """The mean number of weights of vectors (``active_dims``) and the mean share of the vocabulary that has none
        (``sparsity_ratio``)."""
        size = embeddings.size if hasattr(embeddings, "tokens") else embeddings.shape[-1]
        vectors = _forms.vectors_of(embeddings, size)
        if len(vectors) == 0 or size == 0:
            return {"active_dims": 0.0, "sparsity_ratio": 1.0}
        active = float(vectors.nnz) / len(vectors)
        return {"active_dims": active, "sparsity_ratio": 1.0 - active / size}

    def save_pretrained(self, path: Path) -> None:
        """Writes the model as a folder that sentence-transformers, transformers and servers load. The folder must not
        exist, or be empty."""
        from .files import export_model

        export_model(self._model.name, path)

    save = save_pretrained

    def __len__(self) -> int:
        """The number of terms."""
        return self._model.size

    def __repr__(self) -> str:
        of = f"{self._model.size} terms, max_seq_length {self.max_seq_length}"
        return f"SparseEncoder({self._model.name!r}, {of})"


def is_one(embeddings: Any) -> bool:
    """Whether a value is one vector and not a matrix."""
    if isinstance(embeddings, SparseVector):
        return True
    return getattr(embeddings, "ndim", 2) == 1
