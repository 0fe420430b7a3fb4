"""Scores against scipy, librosa, auraloss and scikit-learn, and what they must obey."""

import json

import auraloss
import librosa
import numpy as np
import pytest
import torch
from scipy.stats import bootstrap, pearsonr, wasserstein_distance
from sklearn.metrics import accuracy_score, mean_absolute_error, recall_score

from synthproxy.audio.registry import get_audio_model
from synthproxy.errors import InvalidInputError
from synthproxy.matching.distances import SAMPLE_RATE, Distances, compare, distances
from synthproxy.matching.estimators.parameter_scores import parameter_scores
from synthproxy.matching.scores import (
    distances_in_batches,
    embedding_distances,
    envelope,
    envelope_correlation,
    mean_with_interval,
    score_sounds,
)
from synthproxy.matching.spectral_transport import FARTHEST, spectral_transport, work
from synthproxy.synths import Kind, Note, get_synth

AGREEMENT = 2e-4
SECONDS = 0.8
NAMES = ("stft", "mstft", "mel", "mfccd")


@pytest.fixture(scope="module")
def sounds() -> list[np.ndarray]:
    synth = get_synth("dexed")
    presets = synth.space.sample(np.random.default_rng(3), 600)
    loud = np.argsort(-synth.loudness_bound(presets, Note(), SECONDS, SAMPLE_RATE))[:10]
    return [synth.render(presets[i], Note(duration=0.5), SECONDS, SAMPLE_RATE) for i in loud]


def tone(hertz: float, *, seconds: float = 1.0, start: float = 0.0, level: float = 0.2) -> np.ndarray:
    moment = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * moment) * (moment >= start)).astype(np.float32)


# Sounds


def test_envelope_is_that_of_librosa(sounds):
    expected = librosa.feature.rms(y=sounds[0], frame_length=1024, hop_length=512, pad_mode="constant")[0]
    np.testing.assert_allclose(envelope(sounds[0]), expected, rtol=1e-4, atol=1e-6)


def test_envelope_correlation_is_that_of_scipy_and_does_not_see_levels(sounds):
    for sound, target in zip(sounds[:4], sounds[4:8], strict=True):
        expected = pearsonr(envelope(sound), envelope(target)).statistic
        assert envelope_correlation(sound, target) == pytest.approx(expected, abs=1e-9)
        assert envelope_correlation((0.1 * sound).astype(np.float32), target) == pytest.approx(expected, abs=1e-5)
    assert envelope_correlation(sounds[0], sounds[0]) == pytest.approx(1)


def test_envelope_correlation_with_silence_is_nothing(sounds):
    silence = np.zeros_like(sounds[0])
    assert envelope_correlation(silence, sounds[0]) == envelope_correlation(sounds[0], silence) == 0
    assert envelope_correlation(silence, silence) == 1


def test_work_is_the_distance_of_scipy():
    generator = np.random.default_rng(0)
    places = np.sort(generator.random(60))
    first, second = generator.random((2, 5, 60)) ** 4
    expected = [wasserstein_distance(places, places, u, v) for u, v in zip(first, second, strict=True)]
    np.testing.assert_allclose(work(first, second, places), expected, rtol=1e-9)


def test_transport_is_that_of_scipy_on_spectra_of_librosa(sounds):
    sound, target = sounds[:2]
    spectra = [np.abs(librosa.stft(s, n_fft=4096, hop_length=1024, pad_mode="reflect")) for s in (sound, target)]
    hertz = np.arange(2049) * SAMPLE_RATE / 4096
    octaves = np.log2(hertz[hertz >= 20])
    first, second = (s[hertz >= 20].T.astype(np.float64) for s in spectra)
    found = spectral_transport(sound, target)
    averaged = wasserstein_distance(octaves, octaves, first.sum(0), second.sum(0))
    assert found.averaged == pytest.approx(averaged, rel=AGREEMENT)
    levels = [np.linalg.norm(s, axis=1) for s in (first, second)]
    heard = [row for row in range(len(first)) if all(level[row] >= 1e-3 * level.max() for level in levels)]
    by_frame = [wasserstein_distance(octaves, octaves, first[row], second[row]) for row in heard]
    assert found.framewise == pytest.approx(np.mean(by_frame), rel=AGREEMENT)


@pytest.mark.parametrize("octaves", [0.25, 1.0, 2.0])
def test_transport_between_tones_is_their_interval_whatever_the_level(octaves):
    found = spectral_transport(tone(440 * 2**octaves, level=0.01), tone(440))
    assert found.framewise == pytest.approx(octaves, abs=0.05)
    assert found.averaged == pytest.approx(octaves, abs=0.05)


def test_transport_from_silence_is_the_whole_axis():
    silence = np.zeros(SAMPLE_RATE, dtype=np.float32)
    for pair in ((silence, tone(440)), (tone(440), silence)):
        found = spectral_transport(*pair)
        assert (found.averaged, found.framewise) == (FARTHEST, FARTHEST)
    assert pytest.approx(np.log2(16_000 / 23.4375), abs=1e-6) == FARTHEST
    assert spectral_transport(silence, silence).framewise == 0


def test_frames_in_which_one_is_silent_do_not_count():
    early = tone(440, seconds=0.4)
    late = tone(440, seconds=2.0, start=1.0)
    assert spectral_transport(early, late).framewise == FARTHEST
    assert spectral_transport(early, tone(440, seconds=2.0)).framewise < 0.3


# Published form of the distances


def test_distances_over_a_batch_are_those_of_auraloss_and_not_the_mean_over_clips(sounds):
    pairs = list(zip(sounds[:5], sounds[5:], strict=True))
    x, y = (torch.from_numpy(np.stack(side))[:, None] for side in zip(*pairs, strict=True))
    expected = {
        "stft": auraloss.freq.STFTLoss(1024, 256, 1024)(x, y),
        "mstft": auraloss.freq.MultiResolutionSTFTLoss()(x, y),
        "mel": auraloss.freq.MelSTFTLoss(SAMPLE_RATE, fft_size=1024, hop_size=256, win_length=1024, n_mels=128)(x, y),
    }
    together = Distances.of([compare(*pair) for pair in pairs]).to_dict()
    for name, value in expected.items():
        assert together[name] == pytest.approx(float(value), rel=AGREEMENT), name
    alone = [distances(*pair).to_dict() for pair in pairs]
    assert together["mfccd"] == pytest.approx(np.mean([one["mfccd"] for one in alone]))
    assert abs(together["stft"] - np.mean([one["stft"] for one in alone])) > 0.01


def test_batches_count_by_their_size(sounds):
    comparisons = [compare(sound, target) for sound, target in zip(sounds[:5], sounds[5:], strict=True)]
    found = distances_in_batches(comparisons, batch=3)
    first, second = Distances.of(comparisons[:3]), Distances.of(comparisons[3:])
    for name in NAMES:
        assert getattr(found, name) == pytest.approx((3 * getattr(first, name) + 2 * getattr(second, name)) / 5)


# All together


def test_scores_of_a_set_are_those_of_its_clips(sounds):
    pairs = list(zip(sounds[:5], sounds[5:], strict=True))
    scores = score_sounds(iter(pairs))
    assert scores.by_clip["a_mean"].tolist() == [distances(*pair).a_mean for pair in pairs]
    assert scores.by_clip["envelope_correlation"][2] == envelope_correlation(*pairs[2])
    assert scores.by_clip["transport"][3] == spectral_transport(*pairs[3]).averaged
    together = Distances.of([compare(*pair) for pair in pairs])
    assert scores.in_batches.to_dict() == pytest.approx(together.to_dict())
    means = scores.means()
    assert means["mel"].mean == pytest.approx(scores.by_clip["mel"].mean())
    assert means["mel"].interval.low < means["mel"].mean < means["mel"].interval.high
    data = json.loads(json.dumps(scores.to_dict()))
    assert data["per_clip"]["stft"]["cases"] == 5
    assert data["in_batches_of_64"]["a_mean"] == pytest.approx(scores.in_batches.a_mean)


def test_level_matching_takes_gains_out(sounds):
    quiet = (0.1 * sounds[0]).astype(np.float32)
    raw, matched = (score_sounds([(quiet, sounds[0])], level_matched=m).by_clip["a_mean"][0] for m in (False, True))
    assert matched < 0.02 < raw


def test_broken_sounds_and_none_at_all_are_refused(sounds):
    broken = sounds[0].copy()
    broken[3] = np.inf
    for pairs, words in (
        ([], "no sounds to score"),
        ([(sounds[0], sounds[1]), (broken, sounds[0])], "pair 1 of sounds"),
        ([(sounds[0], sounds[0][:0])], "pair 0 of sounds"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            score_sounds(pairs)


def test_embedding_distances_are_l1_at_the_models_own_rate(sounds):
    first, second = np.stack(sounds[:5]), np.stack(sounds[5:])
    for name in ("mel", "mfcc40"):
        model = get_audio_model(name)
        found = embedding_distances(model, first, second)
        assert embedding_distances(model, first, first).tolist() == [0] * 5
        if model.sample_rate == SAMPLE_RATE:
            x, y = (model.embed(torch.from_numpy(side)) for side in (first, second))
            np.testing.assert_allclose(found, (x - y).abs().mean(dim=1), rtol=1e-4)
        assert (found > 0).all()
    with pytest.raises(InvalidInputError, match=r"\(n, samples\) both"):
        embedding_distances(model, first, second[:3])


def test_interval_of_a_mean_is_that_of_scipy():
    values = np.random.default_rng(5).gamma(2.0, size=150)
    ours = mean_with_interval(values, seed=1, resamples=4_000)
    theirs = bootstrap((values,), np.mean, n_resamples=4_000, method="percentile", rng=2).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    assert [ours.interval.low, ours.interval.high] == pytest.approx([theirs.low, theirs.high], abs=0.02)
    assert ours == mean_with_interval(values, seed=1, resamples=4_000)
    for wrong in ([], [1.0, np.nan], [[1.0]]):
        with pytest.raises(InvalidInputError, match="finite values"):
            mean_with_interval(wrong)


# Presets


def test_parameter_scores_are_those_of_scikit_learn():
    space = get_synth("diva").space
    true = space.sample(np.random.default_rng(0), 40)
    mixed = np.random.default_rng(1).random(true.shape) < 0.5
    predicted = np.where(mixed, true, space.sample(np.random.default_rng(2), 40))
    scores = parameter_scores(space, predicted, true)
    numerical, binary, categorical = (space.columns(kind) for kind in Kind)
    assert scores.numerical_error == pytest.approx(mean_absolute_error(true[:, numerical], predicted[:, numerical]))
    assert scores.binary_accuracy == pytest.approx(
        accuracy_score(true[:, binary].ravel(), predicted[:, binary].ravel())
    )
    for column in categorical:
        expected = accuracy_score(true[:, column], predicted[:, column])
        assert scores.by_parameter[space.free[column].name] == pytest.approx(expected)
    assert scores.categorical_accuracy == pytest.approx(np.mean(list(scores.by_parameter.values())))
    pooled = recall_score(
        true[:, categorical].ravel(), predicted[:, categorical].ravel(), average="macro", zero_division=0
    )
    assert scores.pooled_accuracy == pytest.approx(pooled)
    assert (scores.cases, json.loads(json.dumps(scores.to_dict()))["cases"]) == (40, 40)


def test_a_category_that_is_chosen_but_never_right_counts_as_the_published_form_counts_it(mixed_space):
    space = mixed_space.hold([p.name for p in mixed_space.free if p.name != "shape"])
    scores = parameter_scores(space, np.float32([[0], [2]]), np.float32([[0], [0]]))
    assert (scores.categorical_accuracy, scores.pooled_accuracy) == (0.5, 0.25)
    assert (scores.numerical_error, scores.binary_accuracy) == (None, None)


def test_presets_that_do_not_pair_up_are_refused(mixed_space):
    presets = mixed_space.sample(np.random.default_rng(0), 3)
    for predicted, true in ((presets, presets[:2]), (presets[:0], presets[:0]), (presets[:, 1:], presets[:, 1:])):
        with pytest.raises(InvalidInputError, match=r"are \(n, 8\), got"):
            parameter_scores(mixed_space, predicted, true)
