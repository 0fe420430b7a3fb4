"""The process that a plug-in lives in: ``python -m synthproxy.synths.plugin_host``, with messages on its pipes.

It imports neither PyTorch nor anybody's script, and prints nothing of its own: whatever a plug-in prints goes to
standard error. It ends when its standard input is closed, so it never outlives the process that started it.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synthproxy.synths import plugin_channel as channel

BLOCK = 128
"""Samples per processing block, as published."""

SETTLE_SECONDS = 0.01
"""Silence between setting the parameters and the note, so that smoothed ones arrive; no part of the clip."""

FLUSH_SECONDS = 2.0
"""Silence rendered by the *flush* isolation, so that envelopes and tails of the note before run out."""


class Host:
    """One plug-in in one engine, and the ways to keep its renders apart."""

    def __init__(self, plugin: str, sample_rate: int) -> None:
        import dawdreamer

        self._daw, self.plugin, self.sample_rate = dawdreamer, plugin, sample_rate
        self._shared: mmap.mmap | None = None
        self._load()

    def _load(self) -> None:
        self._engine = self._daw.RenderEngine(self.sample_rate, BLOCK)
        self._processor = self._engine.make_plugin_processor("plugin", self.plugin)
        self._load_graph()

    def _load_graph(self) -> None:
        self._engine.load_graph([(self._processor, [])])

    def opened(self) -> channel.Opened:
        """Names and present values of all parameters."""
        count = self._processor.get_plugin_parameter_size()
        names = [self._processor.get_parameter_name(i) for i in range(count)]
        return channel.Opened(names, [float(self._processor.get_parameter(i)) for i in range(count)])

    # Sound

    def play(self, request: channel.Play, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Mono audio of a note with the parameters set to these values."""
        return self._isolations[request.isolation](self, request, values)

    def _reuse(self, request: channel.Play, values: NDArray[np.float64]) -> NDArray[np.float32]:
        self._set(request.indices, values)
        self._processor.clear_midi()
        self._engine.render(SETTLE_SECONDS)
        self._processor.add_midi_note(request.pitch, request.velocity, 0.0, request.duration)
        self._engine.render(request.seconds)
        audio = np.asarray(self._engine.get_audio(), dtype=np.float32).mean(axis=0, dtype=np.float32)
        samples = round(request.seconds * self.sample_rate)
        return np.pad(audio[:samples], (0, max(0, samples - len(audio))))

    def _flush(self, request: channel.Play, values: NDArray[np.float64]) -> NDArray[np.float32]:
        self._processor.clear_midi()
        self._engine.render(FLUSH_SECONDS)
        return self._reuse(request, values)

    def _reload(self, request: channel.Play, values: NDArray[np.float64]) -> NDArray[np.float32]:
        self._load_graph()
        return self._reuse(request, values)

    def _fresh(self, request: channel.Play, values: NDArray[np.float64]) -> NDArray[np.float32]:
        self._load()
        return self._reuse(request, values)

    def _fork(self, request: channel.Play, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Render in a copy of this process, which has never played: whatever state there is, is always the same."""
        samples = round(request.seconds * self.sample_rate)
        shared = self._shared_memory(samples * 4)
        child = os.fork()
        if child == 0:
            # The copy must end here whatever happens, without running anything that the original would run at its end.
            try:
                shared[: samples * 4] = self._reuse(request, values).tobytes()
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise RuntimeError(f"the plug-in crashed ({signal.Signals(os.WTERMSIG(status)).name})")
        if status:
            raise RuntimeError("the plug-in could not be played")
        return np.frombuffer(shared, dtype=np.float32, count=samples).copy()

    def _shared_memory(self, size: int) -> mmap.mmap:
        if self._shared is None or len(self._shared) < size:
            self._shared = mmap.mmap(-1, size)
        return self._shared

    _isolations: ClassVar[dict[str, Callable[[Host, channel.Play, NDArray[np.float64]], NDArray[np.float32]]]] = {
        "reuse": _reuse,
        "flush": _flush,
        "reload": _reload,
        "fresh": _fresh,
        "fork": _fork,
    }

    def _set(self, indices: list[int], values: NDArray[np.float64]) -> None:
        for index, value in zip(indices, values, strict=True):
            self._processor.set_parameter(index, float(value))

    # What it shows, and its state

    def probe(self, request: channel.Probe) -> channel.Shown:
        """What one parameter shows and keeps over its range; it is put back afterwards."""
        processor, index = self._processor, request.index
        before = processor.get_parameter(index)
        texts, kept = [], []
        for value in np.linspace(0.0, 1.0, request.values):
            processor.set_parameter(index, float(value))
            texts.append(processor.get_parameter_text(index).strip())
            kept.append(float(processor.get_parameter(index)))
        processor.set_parameter(index, before)
        known: dict[str, Any] = processor.get_parameters_description()[index]
        return channel.Shown(texts, kept, known["label"], int(known["numSteps"]), bool(known["isBoolean"]))

    def get_state(self, indices: list[int], values: NDArray[np.float64]) -> bytes:
        """The plug-in's own state when it is set to these values."""
        self._set(indices, values)
        self._processor.clear_midi()
        self._engine.render(SETTLE_SECONDS)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state"
            self._processor.save_state(str(file))
            return file.read_bytes()

    def set_state(self, suffix: str, state: bytes) -> channel.Opened:
        """Load an ``.fxp`` or a ``.vstpreset``, and tell what the parameters are then."""
        load = {".fxp": self._processor.load_preset, ".vstpreset": self._processor.load_vst3_preset}[suffix]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"preset{suffix}"
            # Some plug-ins read their state as text and on to a zero byte, which need not be part of it.
            file.write_bytes(state + b"\0")
            if load(str(file)) is False:
                raise RuntimeError("the plug-in does not take this preset")
        self._engine.render(SETTLE_SECONDS)
        return self.opened()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until there are no more."""
    host: Host | None = None
    while True:
        try:
            request, payload = channel.receive(requests)
        except channel.ChannelClosedError:
            return
        try:
            if isinstance(request, channel.Open):
                host = Host(request.plugin, request.sample_rate)
                answer, content = _answer_opened(host)
            elif host is None:
                raise RuntimeError("no plug-in is loaded")
            else:
                answer, content = _answer(host, request, payload)
        except Exception as error:  # Whatever goes wrong in a plug-in is an answer, and the next request may work.
            answer, content = channel.Failed(" ".join(str(error).split()) or type(error).__name__), b""
        try:
            answer.send(answers, content)
        except channel.ChannelClosedError:
            return


def _answer_opened(host: Host) -> tuple[channel.Message, bytes]:
    return host.opened(), b""


def _answer(host: Host, request: channel.Message, payload: bytes) -> tuple[channel.Message, bytes]:
    match request:
        case channel.Play():
            audio = host.play(request, np.frombuffer(payload, dtype=np.float64))
            if not np.isfinite(audio).all():
                return channel.Failed("its sound is not finite (NaN)"), b""
            return channel.Done(), audio.tobytes()
        case channel.Probe():
            return host.probe(request), b""
        case channel.GetState():
            return channel.Done(), host.get_state(request.indices, np.frombuffer(payload, dtype=np.float64))
        case channel.SetState():
            return host.set_state(request.suffix, payload), b""
        case _:
            raise RuntimeError(f"{type(request).__name__} is no request")


def main() -> None:
    """Serve on standard input and output, which are taken away from the plug-in first."""
    requests = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(requests, answers)
    # Plug-ins that crash while they are unloaded are no concern of anybody's any more.
    os._exit(0)


if __name__ == "__main__":
    main()
