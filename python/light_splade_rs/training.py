"""Training of SPLADE models by the configs of the library light_splade."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import _native
from ._model import Path
from ._progress import Callback, reporter

__all__ = ["train"]


def train(
    config: Mapping[str, Any] | None = None,
    *,
    config_dir: Path | None = None,
    config_name: str | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    resume: bool = False,
    show_progress_bar: bool = False,
    callback: Callback | None = None,
) -> dict[str, Any] | None:
    """Trains a model.

    The settings are a dictionary, or a folder of YAML files that are composed as Hydra does it. Ctrl-C, or an exception
    of the callback, writes a checkpoint first; the same call with ``resume=True`` goes on from there and ends with the
    same bytes as a run that was not stopped.

    Args:
        config: The settings as a dictionary with ``model``, ``data`` and ``training``.
        config_dir: A folder of YAML files, in place of a dictionary.
        config_name: The file in this folder, without ``.yaml``.
        overrides: Settings that replace those of the files, as ``["training.max_steps=10"]`` or as a dictionary,
            ``{"training.max_steps": 10}``.
        resume: Goes on from the last checkpoint in ``training.output_dir``.
        show_progress_bar: Whether a line on standard error tells how far the run is.
        callback: Is called with each event: its kind (``"step"``, ``"logged"``, ``"evaluated"``, …), and a dictionary
            of its values.

    Returns:
        ``steps``, ``best`` (the best value and its step, or None), and the metrics of ``train`` and ``eval``; None where
        an earlier run with the same settings had made all steps already.
    """
    source: str | tuple[Path, str, list[str]]
    if config is not None:
        if config_dir is not None or config_name is not None or overrides:
            raise TypeError("give either config, or config_dir, config_name and overrides")
        source = json.dumps(config)
    elif config_dir is None or config_name is None:
        raise TypeError("give config, or config_dir and config_name")
    else:
        if isinstance(overrides, Mapping):
            overrides = [f"{name}={_override(value)}" for name, value in overrides.items()]
        source = (config_dir, config_name, list(overrides))
    return _native.train(source, resume, reporter(callback, show_progress_bar))


def _override(value: Any) -> str:
    """A value as an override has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
