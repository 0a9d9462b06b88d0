"""The classes of the library light_splade under the names that they have there."""

from .splade import Splade, SpladeEncoder

__all__ = ["Splade", "SpladeEncoder"]
