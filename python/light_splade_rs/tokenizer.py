"""The tokenizer of a model, with those methods of a transformers tokenizer that encoding needs."""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from ._forms import torch_module
from ._model import Model, check_texts
from .errors import InvalidArgumentError

__all__ = ["BatchEncoding", "Tokenizer"]


class BatchEncoding(dict[str, Any]):
    """``input_ids`` and ``attention_mask`` of texts, as a dictionary and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def to(self, device: object) -> "BatchEncoding":
        """The same with its tensors on a device."""
        move = {key: value.to(device) if hasattr(value, "to") else value for key, value in self.items()}
        return BatchEncoding(move)


class Tokenizer:
    """Turns texts into token ids, equal to those of transformers."""

    def __init__(self, model: Model, side: str = "document") -> None:
        self._model = model
        self._side = side

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_attention_mask: bool = True,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Tokenizes a text, or a list of texts.

        Args:
            text: A text, or a list of texts.
            add_special_tokens: Whether tokens such as ``[CLS]`` and ``[SEP]`` are put around each text.
            padding: ``True`` or ``"longest"`` fills all texts up to the longest, ``"max_length"`` up to ``max_length``.
            truncation: Whether texts are cut off at ``max_length``.
            max_length: The longest text in tokens; the model's limit if it is left out.
            return_attention_mask: Whether ``attention_mask`` is part of the result.
            return_tensors: ``"np"`` for NumPy arrays and ``"pt"`` for tensors, (texts, tokens); lists if left out.

        Returns:
            ``input_ids`` and ``attention_mask``, 1 for tokens and 0 for padding.
        """
        if return_tensors not in (None, "np", "pt"):
            raise InvalidArgumentError(f"return_tensors is {return_tensors!r}", 'give "np", "pt", or leave it out')
        if padding not in (False, True, "longest", "max_length", "do_not_pad"):
            raise InvalidArgumentError(f"padding is {padding!r}", "give True or False")
        if truncation not in (False, True, "longest_first", "only_first", "do_not_truncate"):
            raise InvalidArgumentError(f"truncation is {truncation!r}", "give True or False")
        limit = self.model_max_length if max_length is None else max_length
        cut = limit if truncation not in (False, "do_not_truncate") else None
        texts = check_texts([text] if isinstance(text, str) else text)
        ids = self._model.native.token_ids(texts, self._side, special=add_special_tokens, max_length=cut)
        if cut is not None and not add_special_tokens:
            ids = [row[:cut] for row in ids]
        lengths = [len(row) for row in ids]
        if padding in (True, "longest"):
            width = max(lengths, default=0)
        elif padding == "max_length":
            width = max([limit, *lengths])
        else:
            width = 0
        filled = [row + [self.pad_token_id] * (width - len(row)) for row in ids]
        mask = [[1] * length + [0] * (len(row) - length) for row, length in zip(filled, lengths)]
        columns: dict[str, Any] = {"input_ids": filled}
        if return_attention_mask:
            columns["attention_mask"] = mask
        if return_tensors is None:
            if isinstance(text, str):
                columns = {key: rows[0] for key, rows in columns.items()}
            return BatchEncoding(columns)
        if len({len(row) for row in filled}) > 1:
            raise InvalidArgumentError("the texts have different lengths", "give padding=True")
        shape = (len(filled), width if width else (lengths[0] if lengths else 0))
        tensors = {key: np.array(rows, np.int64).reshape(shape) for key, rows in columns.items()}
        if return_tensors == "pt":
            torch = torch_module()
            return BatchEncoding({key: torch.from_numpy(rows) for key, rows in tensors.items()})
        return BatchEncoding(tensors)

    @property
    def vocab_size(self) -> int:
        """The number of terms of the model."""
        return self._model.size

    @property
    def model_max_length(self) -> int:
        """The longest text of the model in tokens."""
        return self._model.native.max_length(self._side)

    @property
    def vocab(self) -> dict[str, int]:
        """The id of each token."""
        return dict(self._model.ids)

    def get_vocab(self) -> dict[str, int]:
        """The id of each token."""
        return dict(self._model.ids)

    @property
    def pad_token_id(self) -> int:
        """The id that texts are filled up with; it does not change a vector."""
        ids = self._model.ids
        return next((ids[token] for token in ("[PAD]", "<pad>") if token in ids), 0)

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without special tokens."""
        [ids] = self._model.native.token_ids([text], self._side, special=False)
        return [self._model.tokens[id] for id in ids]

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The token ids of a text."""
        [ids] = self._model.native.token_ids([text], self._side, special=add_special_tokens)
        return ids

    @overload
    def convert_ids_to_tokens(self, ids: int) -> str: ...
    @overload
    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]: ...
    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> str | list[str]:
        """The token of an id, or the tokens of a list of ids."""
        if isinstance(ids, (int, np.integer)):
            return self._model.tokens[ids]
        return [self._model.tokens[id] for id in ids]

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...
    @overload
    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]: ...
    def convert_tokens_to_ids(self, tokens: str | list[str]) -> int | list[int]:
        """The id of a token, or the ids of a list of tokens."""
        if isinstance(tokens, str):
            return self._model.ids[tokens]
        return [self._model.ids[token] for token in tokens]

    def __len__(self) -> int:
        return self._model.size

    def __repr__(self) -> str:
        return f"Tokenizer({self._model.name!r}, {len(self)} tokens)"
