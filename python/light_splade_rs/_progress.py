"""What long work tells: notes and warnings to ``logging``, progress to a callback or a bar on standard error."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

logger = logging.getLogger("light_splade_rs")

#: Called with the kind of an event and its values: ``("progress", {"done": 256, "total": 1000, …})``.
Callback = Callable[[str, dict[str, Any]], object]

Reporter = Callable[[str, dict[str, Any]], None]


def reporter(callback: Callback | None = None, show_progress_bar: bool = False) -> Reporter:
    """Returns what native functions call with each event. An exception of the callback stops the work."""
    bar = Bar() if show_progress_bar else None

    def report(kind: str, values: dict[str, Any]) -> None:
        if kind in ("note", "begins"):
            logger.info("%s", values["text"])
        elif kind == "detail":
            logger.debug("%s", values["text"])
        elif kind == "warning":
            logger.warning("%s", values["text"])
        if callback is not None:
            callback(kind, values)
        if bar is not None and kind in ("progress", "step"):
            bar.show(values)

    return report


class Bar:
    """A line on standard error that is written anew, at most ten times a second: ``texts: 512/1000 [2.0 s]``."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self.begun = time.monotonic()
        self.last = float("-inf")
        self.width = 0

    def show(self, values: dict[str, Any]) -> None:
        finished = values.get("finished", False) or values.get("step") == values.get("total", -1)
        now = time.monotonic()
        if not finished and now - self.last < 0.1:
            return
        self.last = now
        done, total = values.get("done", values.get("step")), values.get("total")
        if total is None and values.get("share"):
            total = round(done / values["share"])
        of = f"{done}" if total is None else f"{done}/{total}"
        line = f"{values.get('unit', 'steps')}: {of} [{now - self.begun:.1f} s]"
        if "loss" in values:
            line += f" loss {values['loss']:.4f}"
        self.out.write("\r" + line.ljust(self.width))
        self.width = len(line)
        if finished:
            self.out.write("\n")
            self.width = 0
        self.out.flush()
