"""Our light audio model: features whose L1 distance is the work of moving energy in pitch, in time, and in rate.

The L1 distance between two cumulative distributions is the earth mover's distance between the distributions (Werman,
Peleg and Rosenfeld, 1985). So a spectrum that moves up, an envelope that gets longer and a modulation that gets faster
move these features by as much as they are moved themselves, where the distance between the distributions themselves
stops growing once they no longer overlap. Nothing here is learned.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synthproxy.audio.features import MelSettings, MelSpectrogram
from synthproxy.audio.handmade import HandmadeModel

MEL: Final = MelSettings(
    sample_rate=32_000,
    n_fft=2048,
    hop=640,  # Fifty frames a second: the fewest that hold the fastest modulation.
    window_length=2048,
    n_mels=128,
    f_min=20.0,
    f_max=16_000.0,
    scale="slaney",
)


@dataclass(frozen=True)
class TransportSettings:
    """Settings of the model.

    Args:
        floor: power below which nothing is heard.
        range: natural logarithm of power, above the floor, that counts as full level.
        roots: square roots taken of the power whose distribution over frequency is taken.
        parts: parts of the clip whose levels, and positions of whose energy, are told.
        groups: bands are joined in this many, of equal size, for modulations.
        rates: number of modulation rates.
        slowest, fastest: range of modulation rates, in Hz.
        weights: of level by band, pitch, level by time, energy by time, modulation depth by group, modulation rate,
            vibrato depth, vibrato rate.
    """

    floor: float = 1e-6
    range: float = 16.0
    roots: int = 2
    parts: int = 32
    groups: int = 16
    rates: int = 32
    slowest: float = 0.5
    fastest: float = 25.0
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


class Transport(torch.nn.Module):
    """(clips, samples) to (clips, dimension)."""

    moments: Tensor

    def __init__(self, settings: TransportSettings) -> None:
        super().__init__()
        self.settings = settings
        self.spectrogram = MelSpectrogram(MEL)
        self.register_buffer("moments", torch.stack([torch.ones(MEL.n_mels), torch.linspace(0.0, 1.0, MEL.n_mels)]))

    @property
    def dimension(self) -> int:
        """Values per embedding."""
        s = self.settings
        return MEL.n_mels * 2 + s.parts * 2 + s.groups + s.rates + 1 + s.rates

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        s = self.settings
        power = self.spectrogram(audio)
        logarithm = (power + s.floor).log()
        by_band = self._level(logarithm.mean(dim=2))
        grouped = self._level(logarithm.unflatten(1, (s.groups, -1)).mean(dim=2))
        loud = grouped.mean(dim=1)
        by_time = F.adaptive_avg_pool1d(loud[:, None], s.parts)[:, 0]
        depth, rate = self._modulations(grouped)
        amplitude = power + s.floor**2
        for _ in range(s.roots):
            amplitude = amplitude.sqrt()
        total, moment = (self.moments @ amplitude).unbind(dim=1)
        centre = moment / total.clamp_min(1e-9)
        # Where little is heard the pitch says little.
        heard = centre * loud / loud.amax(dim=1, keepdim=True).clamp_min(1e-6)
        vibrato_depth, vibrato_rate = self._modulations(heard[:, None])
        features = (
            by_band,
            _distribution(amplitude.mean(dim=2)),
            by_time,
            _distribution(by_time),
            depth,
            _distribution(rate.mean(dim=1)),
            vibrato_depth,
            _distribution(vibrato_rate[:, 0]),
        )
        return torch.cat([w * f for w, f in zip(s.weights, features, strict=True)], dim=1)

    def _level(self, logarithm: Tensor) -> Tensor:
        """The logarithm of power on the scale on which nothing is 0 and full level is 1."""
        return (logarithm - float(np.log(self.settings.floor))) / self.settings.range

    def _modulations(self, tracks: Tensor) -> tuple[Tensor, Tensor]:
        """How strongly tracks change from frame to frame, and at which rates.

        Args:
            tracks: (clips, groups, frames).

        Returns:
            (clips, groups) and (clips, groups, rates).
        """
        change = tracks.diff(dim=-1)
        spectrum = torch.fft.rfft(change * torch.hann_window(change.shape[-1], periodic=False), dim=-1).abs()
        return change.abs().mean(dim=-1) * 10, spectrum @ _rate_bank(change.shape[-1], self.settings)


def _rate_bank(frames: int, settings: TransportSettings) -> Tensor:
    """Triangles, equal steps apart on a logarithmic scale of rates, over the bins of a spectrum: (bins, rates)."""
    bins = np.fft.rfftfreq(frames, MEL.hop / MEL.sample_rate)
    centres = np.geomspace(settings.slowest, settings.fastest, settings.rates)
    step = np.log(centres[1] / centres[0]) if settings.rates > 1 else 1.0
    # Slow rates are closer together than bins: every rate reaches at least to the bins beside it.
    with np.errstate(divide="ignore"):
        apart = np.abs(np.log(bins)[:, None] - np.log(centres))
    reach = np.maximum(step, np.log1p(bins[1] / centres))
    return torch.from_numpy(np.maximum(0.0, 1 - apart / reach)).float()


def _distribution(values: Tensor) -> Tensor:
    """Cumulative distribution along the last dimension, of values that are not negative."""
    return values.cumsum(dim=-1) / values.sum(dim=-1, keepdim=True).clamp_min(1e-6)


def transport(settings: TransportSettings | None = None) -> HandmadeModel:
    """The model; see above."""
    settings = settings or TransportSettings()
    measure = Transport(settings)

    def over_time(audio: Tensor) -> Tensor:
        embedding: Tensor = measure(audio)
        return embedding[:, None]

    return HandmadeModel(
        name="transport",
        sample_rate=MEL.sample_rate,
        dimension=measure.dimension,
        settings=repr((MEL, settings)),
        shortest=MEL.n_fft * 2,
        measure=measure,
        over_time=over_time,
        chunk=1,
    )
