"""Stopping a long run without loss: signals become a request that the run answers after its current step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequest:
    """Whether somebody asked to stop, and how: the name of the signal, or nothing."""

    by: str = ""


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Note SIGINT, SIGTERM and SIGUSR1 (what schedulers send before their time limit) instead of dying of them.

    A second Ctrl-C interrupts at once. Only the main thread may handle signals; elsewhere nothing is changed.
    """
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        if request.by and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.by = signal.Signals(number).name

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    names = [name for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), note) for name in names}
    try:
        yield request
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
