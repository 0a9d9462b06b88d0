"""The forms that vectors have in other libraries. PyTorch and scipy are imported when something is asked for that is
theirs."""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError, MissingPackageError

if TYPE_CHECKING:
    import scipy.sparse
    import torch

    from .vectors import SparseVectors

#: The arrays that native functions take: ``indptr``, ``indices`` and ``data``.
Arrays = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]


def has(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    return package in sys.modules or find_spec(package) is not None


def scipy_sparse() -> Any:
    """Imports ``scipy.sparse``."""
    try:
        import scipy.sparse
    except ImportError as error:
        hint = 'install scipy, or give return_type="vectors" or "numpy"'
        raise MissingPackageError("a csr_matrix needs scipy, which is not installed", hint) from error
    return scipy.sparse


def torch_module() -> Any:
    """Imports PyTorch."""
    try:
        import torch
    except ImportError as error:
        hint = 'install torch, or give return_type="vectors", "csr_matrix" or "numpy"'
        raise MissingPackageError("a tensor needs PyTorch, which is not installed", hint) from error
    return torch


def csr_matrix(vectors: "SparseVectors") -> "scipy.sparse.csr_matrix":
    """scipy's matrix over the same arrays; nothing is copied below 2³¹ weights."""
    arrays = (vectors.data, vectors.indices, vectors.indptr)
    matrix = scipy_sparse().csr_matrix(arrays, shape=vectors.shape)
    matrix.has_sorted_indices = True
    matrix.has_canonical_format = True
    return matrix


def tensor(vectors: "SparseVectors", dense: bool) -> "torch.Tensor":
    """A tensor of PyTorch: sparse in COO form and coalesced, or dense."""
    torch = torch_module()
    if dense:
        return torch.from_numpy(vectors.toarray())
    rows = np.repeat(np.arange(len(vectors)), np.diff(vectors.indptr))
    places = torch.from_numpy(np.stack([rows, vectors.indices.astype(np.int64)]))
    values = torch.from_numpy(vectors.data)
    return torch.sparse_coo_tensor(places, values, vectors.shape, is_coalesced=True)


def is_torch(value: object) -> bool:
    """Whether a value is a tensor of PyTorch; PyTorch is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_scipy(value: object) -> bool:
    """Whether a value is a sparse matrix of scipy; scipy is not imported for that."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def vectors_of(value: Any, size: int, tokens: Any = None) -> "SparseVectors":
    """Reads vectors in any of the forms: this package's, scipy's, tensors, arrays, or lists of these. A single vector
    becomes a matrix of one row."""
    from .vectors import SparseVector, SparseVectors

    if isinstance(value, SparseVectors):
        return _checked(value, size)
    if isinstance(value, SparseVector):
        return _checked(value.as_matrix(), size)
    if is_torch(value):
        return _checked(_of_tensor(value, tokens), size)
    if is_scipy(value):
        matrix = value.tocsr()
        if matrix.ndim == 1:
            matrix = matrix.reshape(1, -1)
        if not matrix.has_canonical_format:
            # The caller's matrix stays as it is.
            matrix = matrix.copy()
            matrix.sum_duplicates()
        return _checked(
            SparseVectors(
                matrix.indptr,
                matrix.indices.astype(np.int32, copy=False),
                matrix.data.astype(np.float32, copy=False),
                int(matrix.shape[1]),
                tokens,
            ),
            size,
        )
    if isinstance(value, (list, tuple)) and value and not np.isscalar(value[0]):
        rows = [vectors_of(row, size, tokens) for row in value]
        lengths = np.concatenate([np.diff(row.indptr) for row in rows])
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        indices = np.concatenate([row.indices for row in rows])
        data = np.concatenate([row.data for row in rows])
        return SparseVectors(indptr, indices, data, size, tokens)
    return _checked(_of_dense(np.asarray(value, np.float32), tokens), size)


def _checked(vectors: "SparseVectors", size: int) -> "SparseVectors":
    if vectors.size != size:
        message = f"the vectors have {vectors.size} dimensions, but the vocabulary has {size} terms"
        raise InvalidArgumentError(message, "give vectors of this model")
    return vectors


def _of_dense(dense: npt.NDArray[np.float32], tokens: Any) -> "SparseVectors":
    from .vectors import SparseVectors

    if dense.ndim == 1:
        dense = dense.reshape(1, -1)
    if dense.ndim != 2:
        raise InvalidArgumentError(f"vectors are a matrix, but this array has {dense.ndim} axes")
    rows, columns = np.nonzero(dense)
    counts = np.bincount(rows, minlength=dense.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = columns.astype(np.int32)
    return SparseVectors(indptr, indices, dense[rows, columns], dense.shape[1], tokens)


def _of_tensor(value: Any, tokens: Any) -> "SparseVectors":
    from .vectors import SparseVectors

    value = value.detach().cpu()
    if value.ndim == 1:
        value = value.unsqueeze(0)
    if value.layout is sys.modules["torch"].strided:
        return _of_dense(value.float().numpy(), tokens)
    value = value.to_sparse_coo().coalesce()
    rows, columns = value.indices().numpy()
    counts = np.bincount(rows, minlength=value.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    data = value.values().float().numpy()
    return SparseVectors(indptr, columns.astype(np.int32), data, int(value.shape[1]), tokens)


def arrays(vectors: "SparseVectors") -> Arrays:
    """The arrays as native functions take them."""
    return (
        np.ascontiguousarray(vectors.indptr, np.int64),
        np.ascontiguousarray(vectors.indices, np.int32),
        np.ascontiguousarray(vectors.data, np.float32),
    )


def width(value: Any) -> int:
    """The number of terms of the vocabulary of vectors in any form."""
    from .vectors import SparseVector, SparseVectors

    if isinstance(value, (SparseVector, SparseVectors)):
        return value.size
    if isinstance(value, (list, tuple)):
        return width(value[0]) if value and not np.isscalar(value[0]) else len(value)
    return int(value.shape[-1])
