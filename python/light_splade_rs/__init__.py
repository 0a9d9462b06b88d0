"""SPLADE sparse retrieval: encode, index, search, evaluate, train and export, without PyTorch.

>>> from light_splade_rs import SparseEncoder
>>> encoder = SparseEncoder("mini-ja-en")
>>> query = encoder.encode_query("日本の首都", return_type="vectors")
>>> documents = encoder.encode_document(["日本の首都は東京です。", "cheap flights"], return_type="vectors")
>>> encoder.similarity(query, documents).argmax()
np.int64(0)

``light_splade_rs.models.splade`` has the classes of the library light_splade under their own names. Names of this
package are imported when they are first used, so that ``import light_splade_rs`` takes some milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from .cross_encoder import CrossEncoder as CrossEncoder
    from .data import convert as convert
    from .data import mine as mine
    from .data import score as score
    from .errors import LightSpladeError as LightSpladeError
    from .evaluation import Evaluation as Evaluation
    from .evaluation import bm25 as bm25
    from .evaluation import evaluate as evaluate
    from .files import encode_files as encode_files
    from .files import export as export
    from .files import export_model as export_model
    from .files import inspect as inspect
    from .index import Hit as Hit
    from .index import Index as Index
    from .index import Searcher as Searcher
    from .models.splade import Splade as Splade
    from .models.splade import SpladeEncoder as SpladeEncoder
    from .sparse_encoder import SparseEncoder as SparseEncoder
    from .training import train as train
    from .vectors import SparseVector as SparseVector
    from .vectors import SparseVectors as SparseVectors

_MODULE_OF = {
    "CrossEncoder": ".cross_encoder",
    "Evaluation": ".evaluation",
    "Hit": ".index",
    "Index": ".index",
    "LightSpladeError": ".errors",
    "Searcher": ".index",
    "SparseEncoder": ".sparse_encoder",
    "SparseVector": ".vectors",
    "SparseVectors": ".vectors",
    "Splade": ".models.splade",
    "SpladeEncoder": ".models.splade",
    "bm25": ".evaluation",
    "convert": ".data",
    "encode_files": ".files",
    "evaluate": ".evaluation",
    "export": ".files",
    "export_model": ".files",
    "inspect": ".files",
    "mine": ".data",
    "score": ".data",
    "train": ".training",
}

__all__ = [
    "CrossEncoder",
    "Evaluation",
    "Hit",
    "Index",
    "LightSpladeError",
    "Searcher",
    "SparseEncoder",
    "SparseVector",
    "SparseVectors",
    "Splade",
    "SpladeEncoder",
    "bm25",
    "convert",
    "encode_files",
    "evaluate",
    "export",
    "export_model",
    "inspect",
    "mine",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ._native import VERSION

        return VERSION
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    # A function may have the name of a module of this package: the name stands for the function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
