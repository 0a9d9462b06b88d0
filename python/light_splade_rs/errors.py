"""The exceptions of this package. All of them are :class:`LightSpladeError` and have a ``hint``."""

import re

__all__ = [
    "ConfigError",
    "DataError",
    "FileError",
    "InvalidArgumentError",
    "LightSpladeError",
    "MissingPackageError",
    "ModelError",
    "OtherModelError",
    "OutputError",
    "SearchEngineError",
    "SearchIndexError",
    "StoppedError",
    "TrainingError",
]

# What an option of the command line is called here, where its name alone does not tell.
_FLAGS = {"--force": "force=True", "--resume": "resume=True", "--any-model": "any_model=True"}


def _in_python(hint: str) -> str:
    """Rewrites the options of the command line in a hint as keyword arguments."""

    def argument(match: "re.Match[str]") -> str:
        flag = match.group(0)
        return _FLAGS.get(flag, flag[2:].replace("-", "_") + "=")

    return re.sub(r"--[a-z][a-z-]*", argument, hint)


class LightSpladeError(Exception):
    """An error of this package.

    ``str(error)`` says what failed and why; ``error.hint`` says what can be done about it, or is ``None``. From
    Python 3.11 on a traceback shows the hint as well.
    """

    hint: str | None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = None if hint is None else _in_python(hint)
        if self.hint is not None and hasattr(self, "add_note"):
            self.add_note(f"hint: {self.hint}")

    def __reduce__(self) -> tuple[type["LightSpladeError"], tuple[str, str | None]]:
        return type(self), (str(self), self.hint)


class ModelError(LightSpladeError):
    """A model cannot be found, fetched, read or run, or a text cannot be tokenized."""


class SearchIndexError(LightSpladeError):
    """An index cannot be read, written or searched."""


class DataError(LightSpladeError):
    """Training data, judgements, rankings or vectors cannot be used."""


class TrainingError(LightSpladeError):
    """A training run cannot begin or go on."""


class ConfigError(TrainingError, ValueError):
    """A setting of a config is unknown or wrong."""


class FileError(LightSpladeError):
    """A file cannot be read or written."""


class OutputError(LightSpladeError):
    """An output exists already, is an input, or was made with other settings."""


class OtherModelError(LightSpladeError):
    """Vectors, models or indexes meet that do not belong together."""


class SearchEngineError(LightSpladeError):
    """A search engine refused documents or cannot be reached."""


class InvalidArgumentError(LightSpladeError, ValueError):
    """An argument does not fit, alone or together with the others."""


class MissingPackageError(LightSpladeError, ImportError):
    """Something was asked for that needs a package which is not installed."""


class StoppedError(LightSpladeError):
    """Work was stopped. It is the cause of the ``KeyboardInterrupt`` (or of the exception of a callback) that stopped
    it, and says what is kept."""
