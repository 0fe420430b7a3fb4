"""Levels of mel bands are the published ones, and lose nothing that matters when they are stored."""

import numpy as np
import pytest
import torch

from synthproxy.audio.features import kaldi_mel_bank
from synthproxy.audio.levels import SAMPLE_RATE, MelLevels, clip_levels, levels_shape
from synthproxy.errors import InvalidInputError

DECIBEL_ERROR = 1e-2
STORED_ERROR = 1 / 32
"""Half the distance of half-precision numbers between 64 and 128."""


def noise(count: int, samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(seed))


def test_levels_are_the_formula_written_out():
    sound = noise(2, 160_000)
    levels = MelLevels()(sound)
    assert levels.shape == (2, 128, 313)
    emphasised = sound[:, 1:] - 0.97 * sound[:, :-1]
    window = torch.hann_window(1024, periodic=False)
    power = torch.stft(emphasised, 1024, 512, 1024, window, return_complex=True).abs() ** 2
    expected = 10 * torch.log10((kaldi_mel_bank(128, 1024, 32_000, 0.0, 16_000.0) @ power).clamp(min=1e-8))
    torch.testing.assert_close(levels, expected, atol=DECIBEL_ERROR, rtol=0.0)
    torch.testing.assert_close(MelLevels()(torch.zeros(1, 2_000)), torch.full((1, 128, 4), -80.0))


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.512, 1.0, 5.0])
def test_their_shape_is_known_beforehand(seconds):
    sound = noise(1, round(seconds * SAMPLE_RATE))
    assert tuple(MelLevels()(sound).shape[1:]) == levels_shape(seconds)


def test_stored_levels_are_the_levels():
    sound = noise(3, 8_000)
    stored = clip_levels(sound.numpy(), SAMPLE_RATE, 0.25)
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, MelLevels()(sound).numpy(), atol=STORED_ERROR)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_clips_of_other_rates_are_brought_to_the_estimators(rate):
    time = np.arange(round(0.5 * rate)) / rate
    tone = np.sin(2 * np.pi * 1_000 * time)[None].astype(np.float32)
    stored = clip_levels(tone, rate, 0.5)
    assert stored.shape == (1, *levels_shape(0.5))
    own = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / SAMPLE_RATE)[None].astype(np.float32)
    middle = slice(5, -5)
    loudest = int(clip_levels(own, SAMPLE_RATE, 0.5)[0, :, 15].argmax())
    np.testing.assert_allclose(
        stored[0, loudest, middle], clip_levels(own, SAMPLE_RATE, 0.5)[0, loudest, middle], atol=0.2
    )


def test_what_is_no_batch_of_sounds_is_refused():
    with pytest.raises(InvalidInputError, match=r"\(batch, samples\), got \(5,\)"):
        MelLevels()(torch.zeros(5))
