"""The command that ranks audio models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synthproxy.cli.options import Fast, Json, Output, Weights, synth_called
from synthproxy.report.printing import print_json, print_table


def rank_audio_models(
    *,
    presets: Annotated[list[Path], Parameter(negative="", consume_multiple=True)],
    synth: str = "amsynth",
    models: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)] = (
        "mel",
        "mel128",
        "mfcc40",
        "mstft",
    ),
    out: Output = Path("ranking"),
    presets_per_attribute: int = 10,
    steps: int = 20,
    seed: int = 0,
    workers: int | None = None,
    weights: Weights = None,
    fast: Fast = False,
    json: Json = False,
) -> None:
    """Rank audio models by how well they put the steps of a sound's attributes into order; can be interrupted.

    Parameters
    ----------
    presets:
        Preset files that people made, or folders of them; base presets are chosen among these.
    synth:
        Synth that plays them: amsynth, dexed, vital or talnm.
    models:
        Names of audio models, also with another reduction over time: mn04_mel@8.
    out:
        Folder of the tables, plots and everything that can be used again.
    presets_per_attribute:
        Base presets of each attribute.
    steps:
        Steps of each move.
    seed:
        Seed of the choice of base presets.
    workers:
        Threads; all cores by default.
    """
    from synthproxy.audio.registry import get_audio_model
    from synthproxy.corpus.handcrafted import collect_presets, without_duplicates
    from synthproxy.progress import counting
    from synthproxy.ranking import rank_audio_models as rank
    from synthproxy.report.ranking import summary_table, write_ranking
    from synthproxy.synths import Note

    player = synth_called(synth, fast)
    hearing = [get_audio_model(name, weights=weights if name.startswith("mn") else None) for name in models]
    found = without_duplicates(collect_presets(presets, player, Note()))
    with counting("moves") as progress:
        ranking = rank(
            player,
            hearing,
            found,
            out,
            presets_per_attribute=presets_per_attribute,
            steps=steps,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    write_ranking(ranking, out)
    if json:
        print_json(ranking.to_dict())
    else:
        print_table(summary_table(ranking, "l1"))
        print(f"{out}: tables and plots")
