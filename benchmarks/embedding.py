"""How many clips of 5 s an audio model embeds in a second on one thread, by batch size, and what sharing windows gains.

    python benchmarks/embedding.py [MODEL …]

Windowed EfficientAT is compared with the plain computation, in which every window of 0.1 s is cut out of the padded
clip and embedded as a clip of its own, one after the other and all of a clip at once. All are measured in turns, so
that a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

import rich
import torch
from machine import describe_machine
from torch import Tensor

from synthproxy.audio.efficientat import WINDOW_HOP, WINDOW_SAMPLES
from synthproxy.audio.features import reflect_pad
from synthproxy.audio.registry import get_audio_model
from synthproxy.report.tables import Table, to_terminal

MODELS = ("mel", "mel128", "mfcc40", "mstft", "transport", "mn04-clip", "mn04_mel-clip", "mn04", "mn04_mel")
BATCHES = (1, 4, 16, 64)
SECONDS = 5
ROUNDS = 5
LEAST_SECONDS = 0.5


def clips(count: int, rate: int) -> Tensor:
    """Noise that fades, with a tone: (count, samples)."""
    generator = torch.Generator().manual_seed(0)
    moment = torch.arange(SECONDS * rate) / rate
    noise = torch.randn(count, SECONDS * rate, generator=generator)
    return 0.1 * (-moment).exp() * noise + 0.2 * torch.sin(2 * torch.pi * 220 * moment)


def rate_of(work: Callable[[Tensor], object], audio: Tensor) -> float:
    """Clips a second."""
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < LEAST_SECONDS:
        work(audio)
        done += len(audio)
    return done / (time.perf_counter() - begun)


def medians(works: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Median of rounds in which each is measured once, after one that does not count."""
    rounds = [{name: work() for name, work in works.items()} for _ in range(ROUNDS + 1)]
    return {name: statistics.median(one[name] for one in rounds[1:]) for name in works}


def by_batch(name: str) -> tuple[str | float, ...]:
    model = get_audio_model(name)
    works = {str(n): partial(rate_of, model.embed, clips(n, model.sample_rate)) for n in BATCHES}
    return (name, *(round(rate) for rate in medians(works).values()))


def windows_of(audio: Tensor) -> Tensor:
    """(clips, samples) to (clips, windows, samples of one)."""
    return reflect_pad(audio, WINDOW_SAMPLES // 2).unfold(1, WINDOW_SAMPLES, WINDOW_HOP)


def sharing(name: str) -> Table:
    """Windowed against the plain computation of every window."""
    model, of_window = get_audio_model(name), get_audio_model(f"{name}-clip")

    def one_by_one(audio: Tensor) -> Tensor:
        rows = [torch.stack([of_window.embed(w[None])[0] for w in ws]).mean(dim=0) for ws in windows_of(audio)]
        return torch.stack(rows)

    def at_once(audio: Tensor) -> Tensor:
        return torch.stack([of_window.embed(windows).mean(dim=0) for windows in windows_of(audio)])

    audio = clips(4, model.sample_rate)
    ways = {"every window by itself": one_by_one, "all windows of a clip at once": at_once, name: model.embed}
    rates = medians({way: partial(rate_of, work, audio) for way, work in ways.items()})
    expected = one_by_one(audio)
    rows = tuple(
        (way, rates[way], rates[way] / rates["every window by itself"], float((work(audio) - expected).abs().max()))
        for way, work in ways.items()
    )
    columns = ("way", "clips/s", "times", "largest difference")
    return Table(f"Windows of {name}", columns, rows, f"Largest value {float(expected.abs().max()):.2f}.")


def main() -> None:
    torch.set_num_threads(1)
    names = tuple(sys.argv[1:]) or MODELS
    rows = tuple(by_batch(name) for name in names)
    rich.print(to_terminal(Table("Clips/s by batch size, one thread", ("model", *map(str, BATCHES)), rows)))
    for name in names:
        if name in ("mn04", "mn04_mel"):
            rich.print(to_terminal(sharing(name)))
    rich.print(describe_machine())


if __name__ == "__main__":
    main()
