"""The published distances against auraloss, and what a distance must obey."""

import auraloss
import numpy as np
import pytest
import torch

from synthproxy.matching.distances import SAMPLE_RATE, SearchDistance, distances, matching_gain, rms
from synthproxy.synths import Note, get_synth

AGREEMENT = 2e-4


@pytest.fixture(scope="module")
def sounds():
    synth = get_synth("dexed")
    presets = synth.space.sample(np.random.default_rng(3), 400)
    loud = np.argsort(-synth.loudness_bound(presets, Note(), 2.0, SAMPLE_RATE))[:3]
    return [synth.render(presets[i], Note(duration=1.0), 2.0, SAMPLE_RATE) for i in loud]


def test_stft_multi_resolution_and_mel_equal_auraloss(sounds):
    sound, target = sounds[:2]
    x, y = (torch.from_numpy(audio)[None, None] for audio in (sound, target))
    expected = {
        "stft": auraloss.freq.STFTLoss(1024, 256, 1024)(x, y),
        "mstft": auraloss.freq.MultiResolutionSTFTLoss()(x, y),
        "mel": auraloss.freq.MelSTFTLoss(SAMPLE_RATE, fft_size=1024, hop_size=256, win_length=1024, n_mels=128)(x, y),
    }
    found = distances(sound, target).to_dict()
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=AGREEMENT), name


def test_a_mean_is_the_mean_of_the_four(sounds):
    found = distances(*sounds[:2]).to_dict()
    assert found["a_mean"] == pytest.approx(np.mean([found[n] for n in ("stft", "mstft", "mel", "mfccd")]))


def test_a_sound_is_at_no_distance_from_itself(sounds):
    assert max(distances(sounds[0], sounds[0]).to_dict().values()) < 1e-5
    assert SearchDistance(sounds[0])([sounds[0]])[0][0] < 1e-5


def test_level_matched_distance_does_not_see_a_gain_and_the_raw_one_does(sounds):
    sound, target = sounds[:2]
    louder = (4 * sound).astype(np.float32)
    matched = [distances(s, target, level_matched=True).a_mean for s in (sound, louder)]
    assert matched[0] == pytest.approx(matched[1], rel=1e-4)
    assert abs(distances(sound, target).a_mean - distances(louder, target).a_mean) > 0.01
    values, gains = SearchDistance(target)([sound, louder])
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert gains[0] == pytest.approx(4 * gains[1], rel=1e-4)


def test_the_shorter_sound_is_padded_with_silence(sounds):
    sound, target = sounds[0][:20_000], sounds[1]
    padded = np.pad(sound, (0, len(target) - len(sound)))
    assert distances(sound, target) == distances(padded, target)


def test_very_short_sounds_have_distances():
    short = np.sin(np.arange(320) / 5).astype(np.float32)
    assert np.isfinite(distances(short, short[:100]).a_mean)


def test_spectral_convergence_is_relative_to_the_target(sounds):
    quiet = (0.1 * sounds[0]).astype(np.float32)
    assert distances(sounds[0], quiet).stft > distances(quiet, sounds[0]).stft


def test_search_distance_orders_sounds_as_a_mean_does(sounds):
    synth, target = get_synth("dexed"), sounds[0]
    presets = synth.space.sample(np.random.default_rng(8), 600)
    loud = np.argsort(-synth.loudness_bound(presets, Note(), 2.0, SAMPLE_RATE))[:40]
    others = [synth.render(presets[i], Note(duration=1.0), 2.0, SAMPLE_RATE) for i in loud]
    quick = SearchDistance(target)(others)[0]
    published = [distances(o, target, level_matched=True).a_mean for o in others]
    ranks = [np.argsort(np.argsort(values)) for values in (quick, published)]
    assert np.corrcoef(*ranks)[0, 1] > 0.95


def test_silent_and_broken_sounds_are_infinitely_far(sounds):
    broken = sounds[1].copy()
    broken[5] = np.nan
    values, gains = SearchDistance(sounds[0])([np.zeros_like(broken), broken])
    assert np.isinf(values).all()
    assert (gains == 1).all()


def test_gain_brings_sounds_to_the_level_of_the_target(sounds):
    gain = matching_gain(np.stack(sounds[1:]), sounds[0])
    assert rms(sounds[1] * gain[0]) == pytest.approx(rms(sounds[0]), rel=1e-5)
    assert matching_gain(np.zeros(10, np.float32), sounds[0]) == 1
