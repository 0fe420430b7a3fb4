"""Scores of sounds against their targets, beside the distances that are minimised, and what they come to on average.

All sounds are mono float32 at 32 kHz; of a pair, the shorter is padded with zeros at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthproxy.audio.base import AudioModel
from synthproxy.audio.io import resample
from synthproxy.corpus.generate import batches, embed_batch
from synthproxy.errors import InvalidInputError
from synthproxy.matching.distances import SAMPLE_RATE, Comparison, Distances, compare, equal_length
from synthproxy.matching.spectral_transport import spectral_transport
from synthproxy.proxies.ranking import Interval
from synthproxy.synths.space import Floats

PUBLISHED_BATCH = 64
"""Clips over which the published figures take one spectral convergence."""

ENVELOPE_FRAME = 1024
ENVELOPE_HOP = 512

_CONSTANT = 1e-6  # Deviation, relative to the loudest frame, below which an envelope counts as constant.
_RESAMPLES = 1000


def envelope(audio: Floats) -> NDArray[np.float64]:
    """RMS of frames of 32 ms, one every 16 ms, the first centred on the first sample: (samples,) to (frames,)."""
    padded = np.pad(audio.astype(np.float64), ENVELOPE_FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, ENVELOPE_FRAME)[::ENVELOPE_HOP]
    return np.asarray(np.sqrt(np.mean(np.square(frames), axis=1)))


def envelope_correlation(sound: Floats, target: Floats) -> float:
    """Pearson's correlation of the RMS envelopes, from −1 to 1, whatever the levels.

    A constant envelope, such as that of silence, correlates 1 with another and 0 with all others.
    """
    envelopes = [envelope(audio) for audio in equal_length(sound, target)]
    constant = [bool(e.std() <= _CONSTANT * e.max()) for e in envelopes]
    if any(constant):
        return float(all(constant))
    first, second = ((e - e.mean()) / e.std() for e in envelopes)
    return float(np.mean(first * second))


def embedding_distances(model: AudioModel, sounds: Floats, targets: Floats) -> NDArray[np.float64]:
    """Mean absolute difference of the embeddings by an audio model.

    Args:
        model: any audio model; sounds are brought to its rate.
        sounds, targets: (n, samples) at 32 kHz.

    Returns:
        (n,).

    Raises:
        InvalidInputError: the arrays have other shapes.
    """
    if sounds.ndim != 2 or sounds.shape != targets.shape:
        raise InvalidInputError(
            f"sounds and targets to embed are (n, samples) both, got {sounds.shape} and {targets.shape}"
        )
    found = []
    for rows in batches(range(len(sounds))):
        pair = [audio[rows.start : rows.stop] for audio in (sounds, targets)]
        first, second = (embed_batch(model, resample(audio, SAMPLE_RATE, model.sample_rate)) for audio in pair)
        found.append(np.abs(first - second).mean(axis=1, dtype=np.float64))
    return np.concatenate(found) if found else np.empty(0)


@dataclass(frozen=True)
class Mean:
    """A mean over clips with its 95 % bootstrap interval, and how many clips there are."""

    mean: float
    interval: Interval
    cases: int


@dataclass(frozen=True, eq=False)
class SoundScores:
    """Scores of sounds against their targets.

    Args:
        by_clip: each score by name, (n,): ``stft``, ``mstft``, ``mel``, ``mfccd``, ``a_mean``,
            ``envelope_correlation``, ``transport``, ``transport_framewise``.
        in_batches: the distances in their published form, which depends on the batch: spectral convergence with norms
            over 64 clips. For comparison with published figures only.
    """

    by_clip: Mapping[str, NDArray[np.float64]]
    in_batches: Distances

    def means(self, seed: int = 0) -> dict[str, Mean]:
        """The mean of each score over the clips."""
        return {name: mean_with_interval(values, seed) for name, values in self.by_clip.items()}

    def to_dict(self, seed: int = 0) -> dict[str, Any]:
        """Means and published form as plain data for JSON."""
        means = {name: asdict(mean) for name, mean in self.means(seed).items()}
        return {"per_clip": means, f"in_batches_of_{PUBLISHED_BATCH}": self.in_batches.to_dict()}


@dataclass(frozen=True)
class ScoredPair:
    """A sound and its target: what the distances are made of, and every score by name."""

    comparison: Comparison
    scores: Mapping[str, float]


def score_pair(sound: Floats, target: Floats, *, level_matched: bool = False) -> ScoredPair:
    """Score a sound against its target, (samples,) each; see :class:`SoundScores` for the names.

    Raises:
        InvalidInputError: a sound has no samples, or some that are not finite.
    """
    if not all(audio.size and np.isfinite(audio).all() for audio in (sound, target)):
        raise InvalidInputError("samples to score that are not finite, or none at all")
    comparison = compare(sound, target, level_matched=level_matched)
    transport = spectral_transport(sound, target)
    scores = {
        **Distances.of([comparison]).to_dict(),
        "envelope_correlation": envelope_correlation(sound, target),
        "transport": transport.averaged,
        "transport_framewise": transport.framewise,
    }
    return ScoredPair(comparison, scores)


def scores_of(pairs: Sequence[ScoredPair]) -> SoundScores:
    """The scores of many pairs together.

    Raises:
        InvalidInputError: there are no pairs.
    """
    if not pairs:
        raise InvalidInputError("there are no sounds to score")
    by_clip = {name: np.asarray([pair.scores[name] for pair in pairs]) for name in pairs[0].scores}
    return SoundScores(by_clip, distances_in_batches([pair.comparison for pair in pairs]))


def score_sounds(pairs: Iterable[tuple[Floats, Floats]], *, level_matched: bool = False) -> SoundScores:
    """Score sounds against their targets; only one pair is held at a time.

    Args:
        pairs: sounds with their targets, each (samples,), in the order of the batches.
        level_matched: first scale each sound to its target's RMS.

    Raises:
        InvalidInputError: there are no pairs, or a sound has no samples or some that are not finite.
    """
    scored = []
    for number, (sound, target) in enumerate(pairs):
        try:
            scored.append(score_pair(sound, target, level_matched=level_matched))
        except InvalidInputError as error:
            raise InvalidInputError(f"pair {number} of sounds: {error}") from error
    return scores_of(scored)


def distances_in_batches(comparisons: list[Comparison], batch: int = PUBLISHED_BATCH) -> Distances:
    """Published form of the distances of many clips of equal length: by batch, averaged by the size of the batches."""
    parts = [comparisons[start : start + batch] for start in range(0, len(comparisons), batch)]
    sizes = [len(part) for part in parts]
    table = np.asarray([[d.stft, d.mstft, d.mel, d.mfccd] for d in map(Distances.of, parts)])
    return Distances(*np.average(table, axis=0, weights=sizes).tolist())


def mean_with_interval(values: ArrayLike, seed: int = 0, resamples: int = _RESAMPLES) -> Mean:
    """A mean and its 95 % interval: percentiles over means of values drawn anew (Efron).

    Raises:
        InvalidInputError: there are no values, or some are not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise InvalidInputError(f"a mean needs finite values, (n,), got an array of {numbers.shape}")
    generator = np.random.default_rng(seed)
    means = [numbers[generator.integers(0, len(numbers), len(numbers))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Mean(float(numbers.mean()), Interval(float(low), float(high)), len(numbers))
