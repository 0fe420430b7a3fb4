"""Pictures of sound: mel spectrograms that share a time axis, a frequency axis and a colour scale."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLUMNS: Final = 560
BANDS: Final = 112
LOWEST_HERTZ: Final = 40.0
HIGHEST_HERTZ: Final = 16_000.0
WINDOW_SECONDS: Final = 0.05
RANGE_DECIBELS: Final = 75.0
COLOUR_MAP: Final = "magma"


@dataclass(frozen=True)
class Axes:
    """The frame that the spectrograms of a comparison share: ``seconds`` wide, up to ``highest`` Hz."""

    seconds: float
    highest: float

    def height_of(self, hertz: float) -> float:
        """Where a frequency lies, from 0 (bottom) to 1 (top)."""
        low, high, here = (float(_mel(np.asarray(value))) for value in (LOWEST_HERTZ, self.highest, hertz))
        return (here - low) / (high - low)


def shared_axes(seconds: Sequence[float], sample_rates: Sequence[int]) -> Axes:
    """Axes as long as the longest sound and as high as the lowest sample rate lets one compare."""
    return Axes(max(seconds), min(HIGHEST_HERTZ, min(sample_rates) / 2))


def mel_power(audio: NDArray[np.float32], sample_rate: int, axes: Axes) -> NDArray[np.float64]:
    """Power in mel bands.

    Args:
        audio: float32, (samples,), at ``sample_rate`` Hz.
        sample_rate: Hz.
        axes: time and frequency covered; past the end of the sound there is silence.

    Returns:
        (BANDS, COLUMNS), lowest band first. A column is one 50 ms Hann window around its time, so a sound longer than
        about half a minute is sampled, not summed.
    """
    window_length = max(16, round(WINDOW_SECONDS * sample_rate))
    # Padding twice over gives even the narrowest, lowest bands a bin of their own.
    transform_length = 4 * 2 ** int(np.ceil(np.log2(window_length)))
    starts = ((np.arange(COLUMNS) + 0.5) / COLUMNS * axes.seconds * sample_rate).astype(np.int64)
    missing = max(0, int(starts[-1]) + window_length - audio.size)
    padded = np.pad(audio, (window_length // 2, missing))
    window = np.hanning(window_length).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_length)[starts] * window
    spectrum = np.fft.rfft(frames, transform_length, axis=1) / window.sum()
    power: NDArray[np.float64] = _mel_filters(sample_rate, transform_length, axes.highest) @ np.square(
        np.abs(spectrum)
    ).T.astype(np.float64)
    return power


def spectrogram_images(powers: Sequence[NDArray[np.float64]]) -> tuple[bytes, ...]:
    """Paint mel powers as PNG, all on the colour scale of the loudest point of any of them.

    Args:
        powers: each (bands, columns), lowest band first.

    Returns:
        One indexed-colour PNG each, low frequencies at the bottom.
    """
    loudest = max(float(power.max()) for power in powers) or 1.0
    floor = 10 ** (-RANGE_DECIBELS / 10)
    palette = (matplotlib.colormaps[COLOUR_MAP](np.arange(256), bytes=True)[:, :3]).tobytes()
    images = []
    for power in powers:
        decibels = 10 * np.log10(np.maximum(power / loudest, floor))
        shades = np.round((decibels / RANGE_DECIBELS + 1) * 255).astype(np.uint8)
        image = Image.fromarray(np.ascontiguousarray(shades[::-1]))
        image.putpalette(palette)
        content = io.BytesIO()
        image.save(content, format="PNG", optimize=True)
        images.append(content.getvalue())
    return tuple(images)


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """O'Shaughnessy's mel scale, as in HTK."""
    return np.asarray(2595 * np.log10(1 + hertz / 700), dtype=np.float64)


def _mel_filters(sample_rate: int, transform_length: int, highest: float) -> NDArray[np.float64]:
    """Triangles of height 1, evenly spaced in mel: (BANDS, bins)."""
    low, high = _mel(np.asarray([LOWEST_HERTZ, highest]))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(transform_length, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.asarray(np.maximum(0, np.minimum(rising, falling)), dtype=np.float64)
