"""Sparse vectors: one, or the rows of a matrix, as NumPy arrays in CSR form."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from . import _forms

if TYPE_CHECKING:
    import scipy.sparse
    import torch

__all__ = ["SparseVector", "SparseVectors"]

Int32Array = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


class SparseVector:
    """The weights of one text. ``indices``, (terms,), are the ids of its terms, and ``values``, (terms,), their weights
    above zero. ``tokens[id]`` is the token of a term."""

    __slots__ = ("indices", "size", "tokens", "values")

    def __init__(
        self,
        indices: Int32Array,
        values: Float32Array,
        size: int,
        tokens: Sequence[str] | None = None,
    ) -> None:
        self.indices = indices
        self.values = values
        self.size = size
        self.tokens = tokens

    def __len__(self) -> int:
        """The number of terms."""
        return len(self.indices)

    def by_weight(self, top_k: int | None = None) -> list[tuple[int, float]]:
        """The term ids with their weights, the largest first."""
        order = np.argsort(-self.values, kind="stable")[:top_k]
        return [(int(self.indices[at]), float(self.values[at])) for at in order]

    def decode(self, top_k: int | None = None) -> list[tuple[str, float]]:
        """The tokens with their weights, the largest first."""
        return [(self._token(term), weight) for term, weight in self.by_weight(top_k)]

    def to_dict(self) -> dict[int, float]:
        """The weight of each term id, as search engines with numbered terms take it."""
        return dict(zip(self.indices.tolist(), self.values.tolist(), strict=True))

    def toarray(self) -> Float32Array:
        """The vector with its zeros, (size,)."""
        dense = np.zeros(self.size, np.float32)
        dense[self.indices] = self.values
        return dense

    def dot(self, other: "SparseVector") -> float:
        """The score of two vectors."""
        return float(self.as_matrix().dot(other.as_matrix())[0, 0])

    def as_matrix(self) -> "SparseVectors":
        """A matrix whose one row this is."""
        ends = np.array([0, len(self.indices)], np.int32)
        return SparseVectors(ends, self.indices, self.values, self.size, self.tokens)

    def _token(self, term: int) -> str:
        return f"[{term}]" if self.tokens is None else self.tokens[term]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVector):
            return NotImplemented
        return (
            self.size == other.size
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.values, other.values)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{token} {weight:.2f}" for token, weight in self.decode(5))
        more = ", …" if len(self) > 5 else ""
        return f"SparseVector({len(self)} of {self.size} terms: {shown}{more})"

    def _repr_html_(self) -> str:
        terms = self.decode(30)
        largest = terms[0][1] if terms else 1.0
        rows = "".join(_bar(token, weight, largest) for token, weight in terms)
        more = f"<caption>{len(self)} of {self.size} terms</caption>"
        return f"<table>{more}{rows}</table>"


def _bar(token: str, weight: float, largest: float) -> str:
    """A row of a table: a token, its weight, and a bar as long as the weight."""
    style = f"background:#4c8bf5;height:0.8em;width:{12 * weight / largest:.2f}em"
    cells = (
        f"<td style='text-align:left'>{escape(token)}</td><td>{weight:.3f}</td>",
        f"<td><div style='{style}'></div></td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


class SparseVectors:
    """Sparse vectors as the rows of a matrix in CSR form, (rows, size of the vocabulary).

    The terms of row ``i`` are ``indices[indptr[i]:indptr[i + 1]]`` and their weights the same part of ``data``; scipy's
    ``csr_matrix`` has the same arrays. Rows are :class:`SparseVector`; slices and lists of rows are matrices.
    """

    __slots__ = ("data", "indices", "indptr", "size", "tokens")

    def __init__(
        self,
        indptr: IndexArray,
        indices: Int32Array,
        data: Float32Array,
        size: int,
        tokens: Sequence[str] | None = None,
    ) -> None:
        self.indptr = indptr
        self.indices = indices
        self.data = data
        self.size = size
        self.tokens = tokens

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and of terms of the vocabulary."""
        return len(self.indptr) - 1, self.size

    @property
    def nnz(self) -> int:
        """The number of weights."""
        return len(self.data)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """The type of the weights."""
        return self.data.dtype

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @overload
    def __getitem__(self, at: int) -> SparseVector: ...
    @overload
    def __getitem__(self, at: "slice | Sequence[int] | npt.NDArray[Any]") -> "SparseVectors": ...
    def __getitem__(self, at: "int | slice | Sequence[int] | npt.NDArray[Any]") -> "SparseVector | SparseVectors":
        if isinstance(at, (int, np.integer)):
            row = range(len(self))[at]
            start, end = int(self.indptr[row]), int(self.indptr[row + 1])
            of_row = self.indices[start:end], self.data[start:end]
            return SparseVector(*of_row, self.size, self.tokens)
        rows = np.arange(len(self))[at]
        lengths = np.diff(self.indptr)[rows]
        indptr = np.zeros(len(rows) + 1, self.indptr.dtype)
        np.cumsum(lengths, out=indptr[1:])
        # The place of every weight: that of its row's first one, and on from there.
        starts = np.repeat(self.indptr[:-1][rows] - indptr[:-1], lengths)
        of = starts + np.arange(len(starts), dtype=starts.dtype)
        return SparseVectors(indptr, self.indices[of], self.data[of], self.size, self.tokens)

    def __iter__(self) -> Iterator[SparseVector]:
        return (self[row] for row in range(len(self)))

    def decode(self, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """The tokens of every row with their weights, the largest first."""
        return [row.decode(top_k) for row in self]

    def dot(self, other: "SparseVectors") -> Float32Array:
        """The score of every row with every row of another matrix, (rows, rows of the other)."""
        from . import _native

        return _native.similarity(_forms.arrays(self), _forms.arrays(other))

    def toarray(self) -> Float32Array:
        """The matrix with its zeros, (rows, size): four bytes a number."""
        dense = np.zeros(self.shape, np.float32)
        dense[np.repeat(np.arange(len(self)), np.diff(self.indptr)), self.indices] = self.data
        return dense

    def tocsr(self) -> "scipy.sparse.csr_matrix":
        """scipy's ``csr_matrix`` over the same arrays."""
        return _forms.csr_matrix(self)

    def to_torch(self, dense: bool = False) -> "torch.Tensor":
        """A tensor of PyTorch: sparse in COO form and coalesced, or dense."""
        return _forms.tensor(self, dense)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseVectors):
            return NotImplemented
        mine = (self.indptr, self.indices, self.data)
        theirs = (other.indptr, other.indices, other.data)
        same = all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
        return self.size == other.size and same

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        rows, size = self.shape
        return f"SparseVectors({rows} rows, {size} terms, {self.nnz} weights)"

    def _repr_html_(self) -> str:
        shown = [", ".join(f"{escape(token)}&nbsp;{weight:.2f}" for token, weight in row.decode(8)) for row in self[:10]]
        rows = "".join(f"<tr><td>{at}</td><td>{terms}</td></tr>" for at, terms in enumerate(shown))
        return f"<table><caption>{escape(repr(self))}</caption>{rows}</table>"
