"""Which parameters a sound depends on, on the real engine, for voices of which that is known."""

import numpy as np
import pytest

from synthproxy.audio.io import write_audio
from synthproxy.matching.candidates import Candidate
from synthproxy.matching.distances import distances
from synthproxy.matching.influence import Influence, Influences, influences, moved_a_little, parts_in_words
from synthproxy.matching.match import Match, MatchedNote
from synthproxy.matching.target import read_target
from synthproxy.synths import Kind, Note, get_synth

RATE = 32_000
NOTE = Note(60, 100, 0.6)


@pytest.fixture(scope="module")
def synth():
    return get_synth("dexed")


def simple_voice(synth, **changes: float | str):
    """Operator 2 modulates operator 1; all else is silent."""
    values: dict[str, float | str] = {"algorithm": "1", "op1_output_level": 1.0, "op2_output_level": 0.8}
    for op in range(1, 7):
        values |= {f"op{op}_eg_rate_{i}": 0.99 for i in (1, 2, 3, 4)}
        values |= {f"op{op}_eg_level_{i}": 1.0 for i in (1, 2, 3)}
        values |= {f"op{op}_eg_level_4": 0.0}
    silent = {f"op{op}_output_level": 0.0 for op in (3, 4, 5, 6)}
    return synth.space.snap(synth.space.from_names(values | silent | changes))


def influences_on(synth, preset, tmp_path) -> Influences:
    sound = synth.render(preset, NOTE, 0.8, RATE)
    write_audio(tmp_path / "sound.wav", sound, RATE)
    target = read_target(tmp_path / "sound.wav", pitch=60, duration=0.6)
    none = distances(sound, sound)
    match = Match(Candidate(preset, NOTE, "search"), (MatchedNote(NOTE, 1.0, sound, none, none),))
    return influences(synth, target, match, 1)


def test_only_operators_that_are_heard_matter(synth, tmp_path):
    found = influences_on(synth, simple_voice(synth), tmp_path)
    assert found.parts[0].part == "the modulation of operator 2"
    assert found.words.startswith("mostly the modulation of operator 2")
    assert sum(part.share for part in found.parts) == pytest.approx(1, abs=0.06)
    assert not [part.part for part in found.parts if part.part.endswith(("3", "4", "5", "6")) and part.share > 0.02]
    assert 0 < found.renders <= 120


def test_a_slow_attack_is_called_one(synth, tmp_path):
    found = influences_on(synth, simple_voice(synth, op1_eg_rate_1=0.35, op2_output_level=0.0), tmp_path)
    assert "the slow attack of operator 1" in found.words


def test_it_repeats(synth, tmp_path):
    preset = simple_voice(synth)
    assert influences_on(synth, preset, tmp_path) == influences_on(synth, preset, tmp_path)


@pytest.mark.parametrize("name", ["dexed", "dexed-paper", "vital", "amsynth"])
def test_every_part_has_words_and_moves_only_numerical_values(name):
    synth = get_synth(name)
    preset = synth.space.snap(synth.space.encode(synth.space.defaults))
    parts = parts_in_words(synth, preset)
    numerical = synth.space.columns(Kind.NUMERICAL)
    assert len(parts) >= 8
    assert all(parts)
    moved = np.concatenate(list(parts.values()))
    assert len(set(moved.tolist())) == len(moved)
    assert set(moved.tolist()) <= set(numerical.tolist())
    for columns in parts.values():
        near = moved_a_little(synth.space, preset, columns, 1)
        synth.space.validate(near)
        assert set(np.nonzero(near != preset)[0].tolist()) <= set(columns.tolist())


def test_groups_are_put_in_words():
    synth = get_synth("amsynth")
    parts = parts_in_words(synth, synth.space.snap(synth.space.encode(synth.space.defaults)))
    assert {"oscillator 1", "the amp envelope", "the LFO", "the filter"} <= set(parts)


def test_words_name_as_many_parts_as_make_up_half():
    def of(*shares: float) -> str:
        return Influences(tuple(Influence(f"part {i}", (), share) for i, share in enumerate(shares)), 1).words

    assert of() == ""
    assert of(0.7, 0.3) == "mostly part 0"
    assert of(0.4, 0.4, 0.2) == "mostly part 0 and part 1"
    assert of(0.2, 0.2, 0.2, 0.2, 0.2) == "mostly part 0, part 1 and part 2"
    assert of(*[0.1] * 10) == "many things, first of all part 0, part 1 and part 2"
