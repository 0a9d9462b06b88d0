"""What the tests share: the models and the data of this repository."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from light_splade_rs import SparseEncoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def demo() -> str:
    """A tiny model of this repository."""
    return str(ROOT / "models/demo")


@pytest.fixture(scope="session")
def encoder() -> SparseEncoder:
    """The built-in model."""
    return SparseEncoder("mini-ja-en")


@pytest.fixture(scope="session")
def of_light_splade() -> dict[str, Any]:
    """What light_splade 0.1.3 itself returned (scripts/reference/python_package.py)."""
    path = Path(__file__).parent / "fixtures/light_splade.json"
    fixture: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return fixture["models"]
