"""Presets drawn near those that people made."""

from pathlib import Path

import numpy as np
import pytest

from synthproxy.audio.base import AudioModel
from synthproxy.cli import main
from synthproxy.corpus import Corpus, Rendering, generate
from synthproxy.corpus.sources import NearSource, UniformSource
from synthproxy.errors import IncompatibleError, InvalidInputError
from synthproxy.synths import Kind, NamedPreset, Note, PresetSpace, Synth, get_synth


@pytest.fixture(scope="module")
def space() -> PresetSpace:
    return get_synth("dexed").space


def test_draws_are_possible_presets_between_and_near_their_parents(space: PresetSpace) -> None:
    parents = space.sample(np.random.default_rng(0), 20)
    drawn = NearSource(space, parents).draw([np.random.default_rng(1)], 200)
    space.validate(drawn)
    groups = np.asarray([parameter.group for parameter in space.free])
    algorithm = groups == "operators.1"
    kept = (drawn[:, None, algorithm] == parents[:, algorithm]).mean(axis=2).max(axis=1)
    assert kept.mean() > 0.7
    uniform = UniformSource(space).draw([np.random.default_rng(1)], 200)
    assert (uniform[:, None, algorithm] == parents[:, algorithm]).mean(axis=2).max(axis=1).mean() < 0.4
    whole = (drawn[:, None] == parents).mean(axis=2).max(axis=1)
    assert 0.3 < (whole > 0.75).mean() < 0.8  # With one parent about half are whole, but for what was moved.


def test_numbers_move_a_little_and_categories_seldom(space: PresetSpace) -> None:
    parent = space.sample(np.random.default_rng(0), 1)
    drawn = NearSource(space, parent).draw([np.random.default_rng(1)], 500)
    numerical = space.columns(Kind.NUMERICAL)
    steps = np.abs(drawn - parent)[:, numerical]
    assert 0.15 < (steps > 0).mean() < 0.3
    assert 0.03 < steps[steps > 0].mean() < 0.12
    assert 0 < (drawn[:, space.columns(Kind.CATEGORICAL)] != parent[:, space.columns(Kind.CATEGORICAL)]).mean() < 0.05


def test_exchanged_values_are_those_of_other_parents(space: PresetSpace) -> None:
    parents = space.sample(np.random.default_rng(0), 20)
    source = NearSource(space, parents, exchange=True)
    drawn = source.draw([np.random.default_rng(1)], 300)
    space.validate(drawn)
    assert (drawn[:, None] == parents).any(axis=1).all()
    whole = (drawn[:, None] == parents).mean(axis=2).max(axis=1)
    assert 0.3 < (whole > 0.75).mean() < 0.8
    assert (whole < 1).mean() > 0.8
    assert source.digest != NearSource(space, parents).digest


def test_each_generator_draws_for_itself(space: PresetSpace) -> None:
    source = NearSource(space, space.sample(np.random.default_rng(0), 5))
    both = source.draw([np.random.default_rng(1), np.random.default_rng(2)], 3)
    np.testing.assert_array_equal(both[3:], source.draw([np.random.default_rng(2)], 3))


def test_nothing_to_draw_near_to(space: PresetSpace) -> None:
    with pytest.raises(InvalidInputError, match="no presets"):
        NearSource(space, np.empty((0, space.size), dtype=np.float32))


def test_a_corpus_keeps_whom_it_was_drawn_near_to(
    tmp_path: Path, synth: Synth, model: AudioModel, rendering: Rendering
) -> None:
    parents = synth.space.sample(np.random.default_rng(0), 8)
    generate(tmp_path / "near", synth, model, size=40, near=parents, rendering=rendering)
    near = Corpus.open(tmp_path / "near")
    assert near.info.source_digest
    with pytest.raises(IncompatibleError, match="source_digest"):
        generate(tmp_path / "near", synth, model, size=40, rendering=rendering)
    one = generate(tmp_path / "again", synth, model, size=40, near=parents, rendering=rendering, workers=1)
    assert one.made == 40
    np.testing.assert_array_equal(Corpus.open(tmp_path / "again").presets(), near.presets())


def test_exchange_needs_presets_and_makes_no_folder_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["generate", "--size", "4", "--exchange", "--out", str(tmp_path / "c")])
    assert "--exchange: " in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_the_command_reads_preset_files(tmp_path: Path) -> None:
    dexed = get_synth("dexed-paper")
    parents = dexed.space.sample(np.random.default_rng(0), 3)
    dexed.write_presets(tmp_path / "mine.syx", [NamedPreset(x, str(i), "") for i, x in enumerate(parents)])
    command = ["generate", "--size", "4", "--seconds", "0.5", "--near", str(tmp_path), "--out", str(tmp_path / "c")]
    with pytest.raises(SystemExit, match=r"^0$"):
        main(command)
    parents = np.stack([preset.vector for preset in dexed.read_presets(tmp_path / "mine.syx", Note())])
    kept = (Corpus.open(tmp_path / "c").presets()[:, None] == parents).mean(axis=2).max(axis=1)
    assert (kept > 0.3).all()
