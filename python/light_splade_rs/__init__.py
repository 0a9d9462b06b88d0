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
    from .evaluation import evaluate_run as evaluate_run
    from .evaluation import fuse as fuse
    from .files import encode_files as encode_files
    from .files import export as export
    from .files import export_model as export_model
    from .files import inspect as inspect
    from .index import Index as Index
    from .models.splade import Splade as Splade
    from .models.splade import SpladeEncoder as SpladeEncoder
    from .searcher import Hit as Hit
    from .searcher import Place as Place
    from .searcher import Searcher as Searcher
    from .searcher import StoredDocument as StoredDocument
    from .snippet import Mark as Mark
    from .snippet import Snippet as Snippet
    from .sparse_encoder import SparseEncoder as SparseEncoder
    from .training import train as train
    from .vectors import SparseVector as SparseVector
    from .vectors import SparseVectors as SparseVectors

_MODULE_OF = {
    "CrossEncoder": ".cross_encoder",
    "Evaluation": ".evaluation",
    "Hit": ".searcher",
    "Index": ".index",
    "LightSpladeError": ".errors",
    "Mark": ".snippet",
    "Place": ".searcher",
    "Searcher": ".searcher",
    "Snippet": ".snippet",
    "SparseEncoder": ".sparse_encoder",
    "SparseVector": ".vectors",
    "SparseVectors": ".vectors",
    "Splade": ".models.splade",
    "SpladeEncoder": ".models.splade",
    "StoredDocument": ".searcher",
    "bm25": ".evaluation",
    "convert": ".data",
    "encode_files": ".files",
    "evaluate": ".evaluation",
    "evaluate_run": ".evaluation",
    "export": ".files",
    "export_model": ".files",
    "fuse": ".evaluation",
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
    "Mark",
    "Place",
    "Searcher",
    "Snippet",
    "SparseEncoder",
    "SparseVector",
    "SparseVectors",
    "Splade",
    "SpladeEncoder",
    "StoredDocument",
    "bm25",
    "convert",
    "encode_files",
    "evaluate",
    "evaluate_run",
    "export",
    "export_model",
    "fuse",
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
