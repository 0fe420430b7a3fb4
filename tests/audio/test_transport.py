"""The light audio model: its distances are work of moving energy, so they grow with what is moved."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from synthproxy.audio.base import AudioModel
from synthproxy.audio.registry import get_audio_model
from synthproxy.audio.transport import MEL, TransportSettings, _distribution, _rate_bank

RATE = MEL.sample_rate
SECONDS = 3.0
MOMENT = torch.arange(round(SECONDS * RATE), dtype=torch.float64) / RATE


@pytest.fixture(scope="module")
def transport() -> AudioModel:
    return get_audio_model("transport")


def tone(
    hertz: float, *, decay: float = 1.0, vibrato: float = 0.0, tremolo: float = 0.0, attack: float = 0.01
) -> Tensor:
    """A tone of three harmonics, (samples,); rates in Hz, times in seconds."""
    phase = 2 * torch.pi * hertz * MOMENT
    if vibrato:
        phase = phase + 0.03 * hertz / vibrato * torch.sin(2 * torch.pi * vibrato * MOMENT)
    loudness = (-MOMENT / decay).exp() * (MOMENT / attack).clamp(max=1)
    if tremolo:
        loudness = loudness * (1 + 0.5 * torch.sin(2 * torch.pi * tremolo * MOMENT))
    return (0.3 * loudness * sum(torch.sin(k * phase) / k for k in (1, 2, 3))).float()


def test_distance_of_distributions_is_the_earth_movers() -> None:
    bins, random = 40, np.random.default_rng(0)
    for _ in range(20):
        first, second = random.random((2, bins)) ** 4
        ours = (_distribution(torch.from_numpy(first)) - _distribution(torch.from_numpy(second))).abs().sum()
        theirs = wasserstein_distance(np.arange(bins), np.arange(bins), first, second)
        assert float(ours) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("frames", [2, 5, 60, 312])
def test_every_modulation_rate_is_heard(frames: int) -> None:
    bank = _rate_bank(frames, TransportSettings())
    assert bank.shape == (frames // 2 + 1, 32)
    assert bank.isfinite().all()
    if frames > 300:
        assert (bank.sum(dim=0) > 0).all()


@pytest.mark.parametrize(
    "moved",
    [
        lambda step: tone(110 * 2 ** (step / 4)),
        lambda step: tone(220, decay=0.1 * 1.5**step),
        lambda step: tone(220, attack=0.01 * 1.6**step),
        lambda step: tone(220, decay=4, vibrato=1.5 * 1.25**step),
        lambda step: tone(220, decay=4, tremolo=1.5 * 1.3**step),
    ],
    ids=["pitch", "decay", "attack", "vibrato rate", "tremolo rate"],
)
def test_distance_grows_with_the_move(transport: AudioModel, moved: Callable[[int], Tensor]) -> None:
    embedded = transport.embed(torch.stack([moved(step) for step in range(9)]))
    apart = (embedded - embedded[0]).abs().sum(dim=1)
    assert (apart.diff() > 0).all(), apart


def test_clips_are_heard_alone_and_at_any_length(transport: AudioModel) -> None:
    sounds = torch.stack([tone(110), tone(440, decay=0.1)])
    together = transport.embed(sounds)
    assert together.shape == (2, transport.dimension) == (2, 401)
    assert torch.equal(transport.embed(sounds[1:])[0], together[1])
    for samples in (1, 100, 4097, RATE):
        assert transport.embed(torch.zeros(1, samples)).isfinite().all()


def test_it_tells_the_whole_clip_so_reductions_change_nothing(transport: AudioModel) -> None:
    sound = tone(110)[None]
    torch.testing.assert_close(get_audio_model("transport@max").embed(sound), transport.embed(sound))
