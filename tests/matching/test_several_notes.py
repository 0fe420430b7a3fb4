"""Several notes of one instrument as one target, in every stage."""

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Bank, Corpus, Rendering, generate
from synthproxy.errors import InvalidInputError
from synthproxy.matching.budget import Budget
from synthproxy.matching.candidates import Bench, Candidate
from synthproxy.matching.distances import SearchDistance, distances
from synthproxy.matching.match import State, match
from synthproxy.matching.propose import Sources
from synthproxy.matching.retrieval import retrieve
from synthproxy.matching.saved_state import task_identity
from synthproxy.matching.search import SearchSettings
from synthproxy.matching.settings import MatchSettings
from synthproxy.matching.target import read_targets
from synthproxy.synths import Note, get_synth

RATE = 32_000
PITCHES = (48, 60, 67)
LENGTHS = (0.6, 0.3, 0.45)
SECONDS = (0.9, 0.6, 0.7)
SETTINGS = MatchSettings(random=48, seed=5, search=SearchSettings(population=32))


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "corpus"
    rendering = Rendering(note=Note(60, 100, 0.5), seconds=1.0)
    generate(path, get_synth("dexed-paper"), get_audio_model("mel"), size=96, seed=4, rendering=rendering, workers=1)
    return Corpus.open(path)


@pytest.fixture(scope="module")
def preset(synth):
    drawn = synth.space.sample(np.random.default_rng(21), 300)
    return drawn[int(np.argmax(synth.loudness_bound(drawn, Note(60, 100, 0.5), 0.8, RATE)))]


def paths_of(synth, preset, folder):
    paths = [folder / f"{pitch}.wav" for pitch in PITCHES]
    for path, pitch, length, seconds in zip(paths, PITCHES, LENGTHS, SECONDS, strict=True):
        write_audio(path, synth.render(preset, Note(pitch, 100, length), seconds, RATE), RATE)
    return paths


@pytest.fixture(scope="module")
def paths(synth, preset, tmp_path_factory):
    return paths_of(synth, preset, tmp_path_factory.mktemp("notes"))


@pytest.fixture(scope="module")
def target(paths):
    return read_targets(paths, pitches=PITCHES, duration=0.4)


def test_pitches_of_the_notes_keep_their_intervals(tmp_path):
    for name, hertz in (("a.wav", 110.0), ("b.wav", 164.81)):
        wave = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE) + 0.3 * np.sin(
            4 * np.pi * hertz * np.arange(RATE) / RATE
        )
        write_audio(tmp_path / name, (0.3 * wave).astype(np.float32), RATE)
    found = read_targets([tmp_path / "a.wav", tmp_path / "b.wav"])
    first, second = found.sounds
    assert (first.note.pitch, second.note.pitch) == (45, 52)
    assert [b - a for a, b in zip(first.pitches, second.pitches, strict=True)] == [7] * len(first.pitches)
    note = found.further[0].note(Note(57, 90, 1.0))
    assert (note.pitch, note.velocity) == (64, 90)


def test_pitches_are_given_for_all_notes_or_none(paths):
    with pytest.raises(InvalidInputError, match="one for each of the 3 sounds or none, got 2"):
        read_targets(paths, pitches=[48, 60])


def test_the_distance_is_the_mean_over_the_notes(synth, target):
    other = synth.space.sample(np.random.default_rng(3), 1)[0]
    with Bench(synth, target.audio, 2, further=target.further) as bench:
        (scored,) = bench.score([Candidate(other, target.note, "random")])
        assert bench.renders == 3
    alone = [
        SearchDistance(sound.audio)([synth.render(other, sound.note, sound.seconds, RATE)])[0][0]
        for sound in target.sounds
    ]
    assert scored.distance == pytest.approx(np.mean(alone), rel=1e-6)


def test_a_preset_is_found_by_all_its_notes(corpus, tmp_path):
    synth = get_synth("dexed-paper")
    hits = 0
    for item in range(0, 96, 12):
        known = corpus.presets()[item]
        target = read_targets(paths_of(synth, known, tmp_path), pitches=PITCHES)
        found = retrieve(corpus, synth, target, 8)
        hits += any((c.preset == known).all() for c in found)
        assert {c.note.pitch for c in found} == {48}
    assert hits >= 5


def test_one_preset_is_found_for_all_notes_and_repeats(synth, target, corpus):
    states: list[State] = []
    runs = [
        match(
            synth, target, Budget(renders=900), sources=Sources([Bank((corpus,))]), settings=SETTINGS, workers=workers,
            report=lambda _, state: states.append(state),
        )
        for workers in (1, 2)
    ]  # fmt: skip
    assert [m.candidate.key for m in runs[0].matches] == [m.candidate.key for m in runs[1].matches]
    best = runs[0].matches[0]
    assert best.candidate.distance < runs[0].proposal.candidate.distance
    assert [played.note.pitch for played in best.notes] == [best.candidate.note.pitch + above for above in (0, 12, 19)]
    for played, sound in zip(best.notes, target.sounds, strict=True):
        alone = synth.render(best.candidate.preset, played.note, sound.seconds, RATE)
        np.testing.assert_allclose(played.audio, alone * np.float32(played.gain), atol=1e-6)
        assert played.level_matched == distances(alone, sound.audio, level_matched=True)
    mean = np.mean([played.level_matched.a_mean for played in best.notes])
    assert best.level_matched.a_mean == pytest.approx(mean)


def test_another_note_makes_another_task(synth, paths, target):
    fewer = read_targets(paths[:2], pitches=PITCHES[:2], duration=0.4)
    assert task_identity(synth, target, renders=5) != task_identity(synth, fewer, renders=5)
    assert task_identity(synth, target, renders=5) == task_identity(synth, target, renders=5)
