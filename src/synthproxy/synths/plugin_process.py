"""A plug-in's process as seen from here: started, asked within a time limit, and stopped whatever it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import UnavailableError
from synthproxy.synths import plugin_channel as channel
from synthproxy.synths.base import Note
from synthproxy.synths.display import has_display, virtual_display

_COMMAND = [sys.executable, "-m", "synthproxy.synths.plugin_host"]
_POSIX = os.name == "posix"


class PluginFailedError(Exception):
    """A request could not be answered; the message says why.

    Args:
        gone: whether the process is gone as well.
    """

    def __init__(self, reason: str, *, gone: bool) -> None:
        super().__init__(reason)
        self.gone = gone


class PluginProcess:
    """One instance of a plug-in in a process of its own.

    Args:
        plugin: path of the plug-in, or the URI of an LV2 one.
        seconds: longest time an answer may take.
        display: value of ``DISPLAY`` for the process; None to leave it as it is.

    Raises:
        PluginFailedError: it cannot be loaded.
    """

    def __init__(self, plugin: str, sample_rate: int, seconds: float, display: str | None = None) -> None:
        self.sample_rate = sample_rate
        self.renders = 0
        self._seconds = seconds
        environment = {**os.environ, **({"DISPLAY": display} if display else {})}
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=_POSIX,  # So that Ctrl-C reaches us only, and the whole group can be killed.
        )
        self._finalizer = weakref.finalize(self, _kill, self._process)
        opened, _ = self._ask(channel.Open(plugin, sample_rate))
        assert isinstance(opened, channel.Opened)
        self.names, self.values = opened.names, opened.values

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def play(
        self, indices: list[int], values: NDArray[np.float64], note: Note, seconds: float, isolation: str
    ) -> NDArray[np.float32]:
        """Mono audio of a note, with these parameters set to these values.

        Raises:
            PluginFailedError: the plug-in crashed, hung, or made a sound that is not finite.
        """
        request = channel.Play(indices, note.pitch, note.velocity, note.duration, seconds, isolation)
        self.renders += 1
        _, audio = self._ask(request, channel.to_payload(values))
        return np.frombuffer(audio, dtype=np.float32).copy()

    def probe(self, index: int, values: int) -> channel.Shown:
        """What a parameter shows over its range."""
        shown, _ = self._ask(channel.Probe(index, values))
        assert isinstance(shown, channel.Shown)
        return shown

    def state(self, indices: list[int], values: NDArray[np.float64]) -> bytes:
        """The plug-in's own state with these parameters set to these values."""
        return self._ask(channel.GetState(indices), channel.to_payload(values))[1]

    def load(self, state: bytes, suffix: str) -> list[float]:
        """Values of all parameters after loading the content of a preset file with this ending."""
        opened, _ = self._ask(channel.SetState(suffix), state)
        assert isinstance(opened, channel.Opened)
        return opened.values

    def close(self) -> None:
        """End the process."""
        self._finalizer()

    def _ask(self, request: channel.Message, payload: bytes = b"") -> tuple[channel.Message, bytes]:
        assert self._process.stdin
        assert self._process.stdout
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            _kill(self._process)

        watch = threading.Timer(self._seconds, give_up)
        watch.daemon = True
        watch.start()
        try:
            request.send(self._process.stdin, payload)
            answer, content = channel.receive(self._process.stdout)
        except channel.ChannelClosedError:
            self.close()
            raise PluginFailedError(self._cause_of_death(hung.is_set()), gone=True) from None
        except BaseException:
            # An interrupted exchange leaves half a message behind.
            self.close()
            raise
        finally:
            watch.cancel()
        if isinstance(answer, channel.Failed):
            raise PluginFailedError(answer.reason, gone=False)
        return answer, content

    def _cause_of_death(self, hung: bool) -> str:
        if hung:
            return f"the plug-in hung (no answer within {self._seconds:g} s)"
        code = self._process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the plug-in crashed ({name})"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has forked."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if _POSIX:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            with suppress(OSError, ValueError):
                stream.close()


def start_plugin(plugin: str, sample_rate: int, seconds: float, *, needs_display: bool = False) -> PluginProcess:
    """Load a plug-in in a process of its own; one that does not load without a display is given a virtual one.

    Raises:
        UnavailableError: DawDreamer is missing, or the plug-in does not load.
    """
    if find_spec("dawdreamer") is None:
        raise UnavailableError("plug-ins are played by DawDreamer: pip install 'synthproxy[plugins]'")
    missing = not has_display()
    try:
        return PluginProcess(plugin, sample_rate, seconds, virtual_display() if needs_display and missing else None)
    except PluginFailedError as error:
        reason = str(error)
    display = virtual_display() if missing and not needs_display else None
    if display:
        with suppress(PluginFailedError):
            return PluginProcess(plugin, sample_rate, seconds, display)
    hint = "; it may need a display, and there is none: install Xvfb" if missing and virtual_display() is None else ""
    raise UnavailableError(f"{plugin}: does not load as an instrument ({reason}){hint}")
