"""A trained proposer proposes presets of the synth at each note of a target, and a match uses them."""

from dataclasses import replace

import numpy as np
import pytest

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.errors import IncompatibleError
from synthproxy.matching.bounds import Bounds
from synthproxy.matching.budget import Budget
from synthproxy.matching.match import match
from synthproxy.matching.propose import Sources
from synthproxy.matching.proposers.proposing import TrainedProposer
from synthproxy.matching.search import SearchSettings
from synthproxy.matching.settings import MatchSettings
from synthproxy.synths import Note, get_synth

RATE = 32_000


def test_presets_of_the_synth_are_drawn_at_every_note_in_turn(trained, synth, target):
    found = trained.propose(synth, trained.hear(target), 40, (0.5, 1.0), np.random.default_rng(0))
    assert len(found) == 40
    assert {c.origin for c in found} == {"proposer"}
    assert {c.note for c in found} == set(target.notes)
    assert {c.note for c in found[: 2 * len(target.notes)]} == set(target.notes)
    synth.space.validate(np.stack([c.preset for c in found]))
    again = trained.propose(synth, trained.hear(target), 40, (0.5, 1.0), np.random.default_rng(0))
    assert [c.key for c in found] == [c.key for c in again]
    other = trained.propose(synth, trained.hear(target), 40, (0.5, 1.0), np.random.default_rng(1))
    assert [c.key for c in found] != [c.key for c in other]


def test_fewer_presets_than_notes_and_an_early_end_are_possible(trained, synth, target):
    assert len(trained.propose(synth, trained.hear(target), 2, (0.5, 1.0), np.random.default_rng(0))) == 2
    some = trained.propose(synth, trained.hear(target), 40, (0.5, 1.0), np.random.default_rng(0), lambda: False)
    assert 0 < len(some) <= 5 + (len(target.notes) == 1) * 15


def test_whoever_has_to_end_early_has_a_little_of_every_note(trained, synth, target):
    heard = trained.hear(target)
    answers = iter([True] * (len(heard) - 1))
    some = trained.propose(synth, heard, 4_000, (0.5,), np.random.default_rng(0), lambda: next(answers, False))
    assert {c.note for c in some} == {sound.note for sound in heard}
    assert len(some) < 40 * len(heard)


def test_what_is_locked_is_told_to_the_network_in_its_own_space(trained, synth, target, monkeypatch):
    start = synth.space.sample(np.random.default_rng(3), 1)[0]
    bounds = Bounds.of(synth.space, start, lock=["algorithm", "operators.2"])
    told = []
    draw = trained.proposer.draw

    def noting(*arguments):
        told.append(arguments[-1])
        return draw(*arguments)

    monkeypatch.setattr(trained.proposer, "draw", noting)
    found = trained.propose(synth, trained.hear(target), 8, (1.0,), np.random.default_rng(0), bounds=bounds)
    presets = np.stack([candidate.preset for candidate in found])
    locked = np.isin([parameter.name for parameter in synth.space.free], bounds.locked)
    np.testing.assert_array_equal(presets[:, locked], np.tile(start[locked], (8, 1)))
    assert (presets[:, ~locked] != start[~locked]).any()
    names = np.asarray([parameter.name for parameter in trained.info.space.free])
    assert set(names[told[0].known]) == set(bounds.locked)


def test_the_network_is_told_a_note_within_those_it_has_learned_from(trained, synth, target, monkeypatch):
    assert trained.nearest_note(Note(60, 90, 0.1)) == Note(60, 100, 0.1)
    assert trained.nearest_note(Note(20, 100, 3.0)) == Note(48, 100, 0.1)
    assert trained.nearest_note(Note(99, 100, 0.05)) == Note(72, 100, 0.1)
    asked = {}
    draw = trained.proposer.draw

    def noting(sound, note, *arguments):
        asked[note.pitch] = sound.numpy()
        return draw(sound, note, *arguments)

    monkeypatch.setattr(trained.proposer, "draw", noting)
    at = {pitch: replace(target, pitches=(pitch,)) for pitch in (50, 60, 84)}
    for pitch in at:
        trained.propose(synth, trained.hear(at[pitch]), 1, (1.0,), np.random.default_rng(0))
    assert set(asked) == {50, 60, 72}
    np.testing.assert_array_equal(asked[50], asked[60])  # It is heard as it is, and only taken for another note …
    assert np.abs(asked[72] - asked[60]).max() > 0.05  # … but where that lies beyond all that was learned from.


def test_a_proposer_of_another_synth_is_refused(trained, target):
    with pytest.raises(IncompatibleError, match="cannot be played by"):
        trained.propose(get_synth("diva"), trained.hear(target), 4, (1.0,), np.random.default_rng(0))
    other = TrainedProposer(trained.proposer, replace(trained.info, audio_model_identity="another"))
    with pytest.raises(IncompatibleError, match="its weights are not those"):
        other.hear(target)


def test_what_is_drawn_first_tells_the_notes_at_which_the_rest_is_drawn(trained, synth, target, monkeypatch):
    asked = []
    drawing = TrainedProposer.propose

    def noting(self, of, heard, count, *arguments):
        asked.append((count, [sound.note for sound in heard]))
        return drawing(self, of, heard, count, *arguments)

    monkeypatch.setattr(TrainedProposer, "propose", noting)
    unsure = replace(target, note=Note(48, 100, 0.1), pitches=(48, 60, 72), durations=(0.1, 0.8))
    match(synth, unsure, Budget(renders=400), sources=Sources(proposer=trained), settings=MatchSettings(drawn=64))
    (scouts, at_first), (rest, then) = asked
    assert (scouts, scouts + rest) == (16, 64)
    assert at_first == unsure.likely_notes
    assert len(at_first) == 6
    assert len(then) == 2
    assert set(then) < set(at_first)
    asked.clear()
    known = replace(target, note=Note(60, 100, 0.1), pitches=(60,), durations=(0.1,))
    match(synth, known, Budget(renders=400), sources=Sources(proposer=trained), settings=MatchSettings(drawn=64))
    assert asked == [(64, [known.note])]


def test_a_match_tries_what_is_proposed_and_repeats(tmp_path, trained, synth, target):
    path = tmp_path / "bank"
    rendering = Rendering(note=Note(60, 100, 0.5), seconds=0.8)
    generate(path, get_synth("dexed-paper"), get_audio_model("mel"), size=48, seed=4, rendering=rendering, workers=1)
    search = SearchSettings(population=512)
    settings = MatchSettings(random=16, retrieved=16, drawn=64, search=search, top=3)
    states, runs = [], []
    for workers in (1, 2):
        runs.append(
            match(
                synth, target, Budget(renders=400), sources=Sources([Corpus.open(path)], proposer=trained),
                settings=settings, workers=workers, report=lambda _, state: states.append(state),
            )
        )  # fmt: skip
    assert [m.candidate.key for m in runs[0].matches] == [m.candidate.key for m in runs[1].matches]
    first = next(state for state in states if state.renders)
    origins = [c.origin for c in first.population]
    assert {"retrieval", "proposer"} == set(origins)  # The first step tries both.
    seen = {c.origin for state in states for c in state.population}
    assert {"retrieval", "proposer", "random"} <= seen


def test_without_a_proposer_a_match_is_what_it_was(synth, target):
    settings = MatchSettings(random=32, search=SearchSettings(population=16), top=2)
    other = replace(settings, drawn=7, temperatures=(2.0,))
    runs = [match(synth, target, Budget(renders=120), settings=s, workers=1) for s in (settings, other)]
    assert [m.candidate.key for m in runs[0].matches] == [m.candidate.key for m in runs[1].matches]
