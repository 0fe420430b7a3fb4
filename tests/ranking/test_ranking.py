"""Whole rankings on the real engines, with ears whose quality is known: results, resuming, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from synthproxy.audio.registry import get_audio_model
from synthproxy.errors import IncompatibleError, InvalidInputError, SynthProxyError, UnavailableError
from synthproxy.ranking import Attribute, Ranking, attributes_of, rank_audio_models
from synthproxy.report.ranking import attribute_table
from synthproxy.synths import NamedPreset, Note
from synthproxy.synths.dexed import Dexed
from synthproxy.synths.plugin import PluginSynth

from .conftest import ATTRIBUTES, NAMES, Ear


def without_speed(ranking: Ranking) -> dict[str, object]:
    data = ranking.to_dict()
    for score in data["scores"]:
        del score["clips_per_second"]
    return data


# Results


def test_a_sharp_ear_ranks_above_a_scattered_and_a_deaf_one(
    rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear, scattered_ear: Ear, deaf_ear: Ear
) -> None:
    ranking = rank(folder, deaf_ear, scattered_ear, sharp_ear)
    for distance in ("l1", "l2", "cosine"):
        scores = ranking.by(distance)
        assert {score.model for score in scores} == {"sharp", "scattered", "deaf"}
        assert scores[0].model == "sharp"
        assert scores[0].mean > 0.8
        assert next(score for score in scores if score.model == "deaf").mean == 0.0
        assert abs(next(score for score in scores if score.model == "scattered").mean) < 0.6


def test_a_score_sums_up_its_correlations(finished: tuple[Path, Ranking]) -> None:
    ranking = finished[1]
    (score,) = ranking.by("l2")
    assert [attribute.attribute for attribute in score.attributes] == list(NAMES)
    means = [np.mean(attribute.correlations) for attribute in score.attributes]
    assert score.mean == pytest.approx(np.mean(means))
    assert score.median == pytest.approx(np.median(means))
    assert score.deviation == pytest.approx(np.std(means, ddof=1))
    assert score.interval.low <= score.mean <= score.interval.high
    assert (score.behind_best.low, score.behind_best.high) == (0.0, 0.0)
    assert (score.dimension, score.sample_rate, score.distance) == (64, 16_000, "l2")
    assert score.clips_per_second > 0
    for judged, attribute in zip(ranking.attributes, score.attributes, strict=True):
        assert len(judged.presets) == len(attribute.correlations) == 2
        assert all(steps + unchanged == 6 for steps, unchanged in zip(judged.steps, judged.unchanged, strict=True))
        assert judged.tried == 2 + sum(judged.refused.values())


def test_a_ranking_is_plain_data(rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear) -> None:
    ranking = rank(tmp_path, sharp_ear, presets_per_attribute=1)
    data = json.loads(json.dumps(ranking.to_dict(), allow_nan=False))
    assert [row["model"] for row in data["scores"]] == ["sharp"] * 3
    # One preset has no spread.
    assert data["scores"][0]["attributes"][0]["deviation"] is None


def test_the_order_of_the_steps_is_what_is_heard(rank: Callable[..., Ranking], tmp_path: Path, dexed: Dexed) -> None:
    """An ear that knows the pitch of a transposed voice, by counting zero crossings, finds the order perfectly."""

    def crossings(audio: Tensor) -> Tensor:
        return (audio[:, 1:8_000].sign() != audio[:, :7_999].sign()).float().sum(dim=1, keepdim=True)

    sine = NamedPreset(dexed.space.encode(dexed.space.defaults), "sine", "tests")
    pitch = [attribute for attribute in ATTRIBUTES if attribute.name == "pitch coarse"]
    ranking = rank(tmp_path, Ear("counting", crossings), attributes=pitch, presets=[sine], steps=20)
    assert [score.mean for score in ranking.by("l1")] == [1.0]
    assert ranking.attributes[0].steps == (20,)


@pytest.mark.parametrize("model", ["mel", "mel128"])
def test_a_real_model_finds_the_order_of_clear_moves(rank: Callable[..., Ranking], tmp_path: Path, model: str) -> None:
    ranking = rank(tmp_path, get_audio_model(model), attributes=ATTRIBUTES[:1])
    assert ranking.by("l1")[0].mean > 0.9


def test_a_plugin_can_be_moved_too(
    amsynth: PluginSynth, amsynth_banks: Path, tmp_path: Path, sharp_ear: Ear, deaf_ear: Ear
) -> None:
    presets = amsynth.read_presets(amsynth_banks / "amsynth_factory.bank")
    moved = [attribute for attribute in attributes_of("amsynth") if attribute.name in ("amp decay", "filter cutoff")]
    ranking = rank_audio_models(
        amsynth, [deaf_ear, sharp_ear], presets, tmp_path, attributes=moved, presets_per_attribute=1, steps=5
    )
    assert ranking.by("l1")[0].model == "sharp"
    assert ranking.by("l1")[0].mean > 0.8


def test_the_number_of_threads_does_not_matter(
    rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear, finished: tuple[Path, Ranking]
) -> None:
    assert without_speed(rank(tmp_path, sharp_ear, workers=3)) == without_speed(finished[1])
    (tmp_path / "sharp.npz").unlink()
    assert without_speed(rank(tmp_path, sharp_ear, workers=1)) == without_speed(finished[1])


def test_progress_counts_moves_up_to_all(rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear) -> None:
    seen: list[tuple[int, int]] = []
    rank(tmp_path, sharp_ear, progress=lambda done, everything: seen.append((done, everything)))
    assert seen == sorted(seen)
    assert seen[-1] == (8, 8)


# Going on


def interrupting(ear: Ear, after: int) -> Ear:
    """The ear, interrupted by the user while it hears its next sweep but so many."""
    hear = ear.hear

    def interrupted(audio: Tensor) -> Tensor:
        if len(ear.heard) > after:
            raise KeyboardInterrupt
        return hear(audio)

    return Ear(ear.name, interrupted, ear.sample_rate, ear.dimension, heard=ear.heard)


def test_an_interrupted_ranking_goes_on_where_it_stopped(
    rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear, finished: tuple[Path, Ranking]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        rank(tmp_path, interrupting(sharp_ear, after=2), workers=1)
    assert len(sharp_ear.heard) == 3
    resumed = rank(tmp_path, sharp_ear)
    assert len(sharp_ear.heard) == 3 + 2, "two sweeps had been heard, two were left"
    assert without_speed(resumed) == without_speed(finished[1])


def test_a_finished_ranking_is_only_looked_up(
    rank: Callable[..., Ranking], folder: Path, finished: tuple[Path, Ranking]
) -> None:
    def refuse(_: Tensor) -> Tensor:
        raise AssertionError("asked to listen again")

    assert rank(folder, Ear("sharp", refuse)) == finished[1]


def test_models_can_be_added_without_asking_the_others_again(
    rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear, deaf_ear: Ear
) -> None:
    both = rank(folder, sharp_ear, deaf_ear)
    assert not sharp_ear.heard
    assert len(deaf_ear.heard) == 4
    assert [score.model for score in both.by("l1")] == ["sharp", "deaf"]


def test_other_weights_under_the_same_name_listen_anew(rank: Callable[..., Ranking], folder: Path) -> None:
    retrained = Ear("sharp", lambda audio: torch.ones(len(audio), 2), identity="ear:2")
    assert rank(folder, retrained).by("l1")[0].mean == 0.0


def test_any_distance_can_be_asked_for_later(rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear) -> None:
    assert [score.distance for score in rank(folder, sharp_ear, distances=("cosine", "l1")).scores] == ["cosine", "l1"]
    assert not sharp_ear.heard


def test_a_killed_ranking_goes_on(
    tmp_path: Path, rank: Callable[..., Ranking], sharp_ear: Ear, finished: tuple[Path, Ranking]
) -> None:
    script = tmp_path / "rank.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from conftest import ATTRIBUTES, QUICK, VOICES, Ear, levels\n"
        "from synthproxy.ranking import rank_audio_models\n"
        "from synthproxy.synths import NamedPreset, get_synth\n"
        "synth = get_synth('dexed')\n"
        "voices = [NamedPreset(synth.space.from_names(v), k, 'tests') for k, v in VOICES.items()]\n"
        "def slowly(audio):\n"
        "    time.sleep(0.5)\n"
        "    return levels(audio)\n"
        "rank_audio_models(synth, [Ear('sharp', slowly)], voices, Path(sys.argv[1]), attributes=ATTRIBUTES,\n"
        "                  workers=1, **QUICK)\n"
    )
    folder = tmp_path / "killed"
    with subprocess.Popen([sys.executable, str(script), str(folder)]) as running:
        deadline = time.monotonic() + 60
        while not (folder / "sharp.npz").exists() and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    resumed = rank(folder, sharp_ear)
    assert 0 < len(sharp_ear.heard) < 4
    assert without_speed(resumed) == without_speed(finished[1])


# What is refused


@pytest.mark.parametrize(
    ("change", "named"),
    [({"steps": 7}, "steps"), ({"seed": 1}, "presets, seed"), ({"presets_per_attribute": 1}, "presets per attribute")],
)
def test_a_folder_belongs_to_one_ranking(
    rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear, change: dict[str, int], named: str
) -> None:
    with pytest.raises(IncompatibleError, match=f"ranking with other {named}: give another folder"):
        rank(folder, sharp_ear, **change)


@pytest.mark.parametrize("file", ["ranking.json", "sharp.npz"])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"PK\x03\x04", bytes(range(256)) * 20, b"{" * 10_000, b'{"settings": 3, "choices": []}']
)
def test_damaged_files_are_named(
    rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear, file: str, content: bytes
) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(InvalidInputError, match=rf"{file}.*delete it") as caught:
        rank(folder, sharp_ear)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"attribute": "another"},
        {"attribute": 3},
        {"sweeps": [{"candidate": 99, "changing": [0, 1]}]},
        {"sweeps": [{"candidate": -1, "changing": [0, 1]}]},
        {"sweeps": [{"candidate": 0, "changing": [0, 6]}]},
        {"sweeps": [{"candidate": 0, "changing": [0]}]},
        {"sweeps": [{"candidate": float("inf"), "changing": [0, 1]}]},
        {"sweeps": [{"candidate": "0", "changing": 3}]},
        {"sweeps": 3},
        {"sweeps": []},
        {"refused": []},
        {"tried": None},
    ],
)
def test_choices_that_the_plan_cannot_have_led_to_are_damage(
    rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear, change: dict[str, object]
) -> None:
    data = json.loads((folder / "ranking.json").read_text())
    data["choices"][0] |= change
    (folder / "ranking.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInputError, match=r"ranking.json is damaged.*delete it"):
        rank(folder, sharp_ear)


def test_a_truncated_archive_is_named(rank: Callable[..., Ranking], folder: Path, sharp_ear: Ear) -> None:
    whole = (folder / "sharp.npz").read_bytes()
    for size in range(1, len(whole), len(whole) // 9):
        (folder / "sharp.npz").write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match=r"sharp.npz is damaged"):
            rank(folder, sharp_ear)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"distances": ()}, "got none"),
        ({"distances": ("l3",)}, "l1, l2, cosine; got 'l3'"),
        ({"workers": 0}, "workers"),
        ({"presets": []}, "no presets"),
        ({"attributes": [Attribute("x", ("no_such",), 0, 1)]}, "'no_such'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear, change: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        rank(tmp_path / "new", sharp_ear, **change)
    assert not (tmp_path / "new").exists()


def test_models_must_be_there_and_different(rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear) -> None:
    with pytest.raises(InvalidInputError, match="no audio model"):
        rank(tmp_path)
    with pytest.raises(InvalidInputError, match="sharp is given twice"):
        rank(tmp_path, sharp_ear, sharp_ear)


def test_the_table_of_attributes_tells_what_it_rests_on(finished: tuple[Path, Ranking]) -> None:
    table = attribute_table(finished[1], "l1")
    assert table.columns == ("attribute", "presets", "steps", "left out", "sharp")
    for row, judged in zip(table.rows, finished[1].attributes, strict=True):
        assert row[:4] == (judged.name, len(judged.presets), sum(judged.steps), sum(judged.unchanged))
    score = finished[1].by("l1")[0].attributes[0]
    assert table.rows[0][4] == f"{score.mean:.3f} ± {score.deviation:.3f}"


def test_presets_that_fit_nothing_are_counted_by_reason(
    rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear, voices: list[NamedPreset]
) -> None:
    unfit = [voice for voice in voices if voice.name in ("silence", "hiss")]
    with pytest.raises(SynthProxyError, match=r"none of 2 presets lets it be judged \(.*1 not pitched"):
        rank(tmp_path, sharp_ear, presets=unfit)


def test_a_model_that_gives_no_numbers_is_named(rank: Callable[..., Ranking], tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="broken gives embeddings that are not finite"):
        rank(tmp_path, Ear("broken", lambda audio: torch.full((len(audio), 2), torch.nan)))


def test_a_folder_that_cannot_be_made_is_named(rank: Callable[..., Ranking], tmp_path: Path, sharp_ear: Ear) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be made"):
        rank(tmp_path / "file" / "below", sharp_ear)


def test_voices_from_files_are_ranked(tmp_path: Path, dexed: Dexed, voices: list[NamedPreset], sharp_ear: Ear) -> None:
    dexed.write_presets(tmp_path / "voices.syx", voices[:1])
    presets = dexed.read_presets(tmp_path / "voices.syx", Note())
    ranking = rank_audio_models(
        dexed, [sharp_ear], presets, tmp_path / "ranking", attributes=ATTRIBUTES[1:], presets_per_attribute=1, steps=3
    )
    assert ranking.attributes[0].presets == ("bell",)
