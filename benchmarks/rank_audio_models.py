"""Which audio model puts the steps of a sound's attributes into order, and is ours as good as one ten times slower?

    python benchmarks/rank_audio_models.py amsynth /usr/share/amsynth/banks FOLDER
    python benchmarks/rank_audio_models.py dexed VOICES FOLDER

The published protocol (``synthproxy rank-audio-models``) with ten hand-crafted presets per attribute and twenty steps
for all models; then with forty, which narrows the interval by half, for the light models that are ours and their
rivals. Differences are of the same presets drawn anew for both. The folder keeps what has been heard: the same command
goes on. `mel` and `transport` were designed before any ranking had been made, so every attribute and every synth is
held back from them; what changed since then in `transport` made it quicker (its hop, its arithmetic).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rich
from machine import describe_machine

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus.handcrafted import collect_presets, without_duplicates
from synthproxy.progress import counting
from synthproxy.ranking import Ranking, rank_audio_models
from synthproxy.ranking.correlation import Numbers, bootstrap_means, mean_over_attributes
from synthproxy.ranking.results import RESAMPLES, ModelScore
from synthproxy.report.ranking import summary_table, write_ranking
from synthproxy.report.tables import Table, to_markdown
from synthproxy.synths import Note, get_synth

PLAIN = ("mel128", "mfcc40", "mstft", "mel", "mn04-clip", "mn04_mel-clip", "mn04", "mn04_mel")
MODELS = ("transport", *PLAIN, *(f"{name}@8" for name in PLAIN))
PUBLISHED = {"mn04_mel": 0.965, "mel128": 0.921, "mfcc40": 0.913, "mstft": 0.880}
"""Mean ρ by L1 on TAL-NoiseMaker, of Combes, Weinzierl and Obermayer (JAES 2025); their `mel` is our `mel128`."""

OURS = ("mel", "transport")
RIVALS = ("mn04_mel", "mn04_mel-clip")
PRESETS = 10
PRESETS_OF_PAIRS = 40


def correlations(ranking: Ranking, score: ModelScore) -> Numbers:
    """(attributes, presets), NaN where an attribute was not judged on a preset."""
    presets = sorted({name for attribute in ranking.attributes for name in attribute.presets})
    table = np.full((len(ranking.attributes), len(presets)), np.nan)
    for row, (attribute, scored) in enumerate(zip(ranking.attributes, score.attributes, strict=True)):
        for name, value in zip(attribute.presets, scored.correlations, strict=True):
            table[row, presets.index(name)] = value
    return table


def differences(ranking: Ranking) -> Table:
    """Ours less each rival, with the interval over presets, and how many times quicker ours is."""
    scores = {score.model: score for score in ranking.by("l1")}
    rows = []
    for ours in OURS:
        for rival in RIVALS:
            one, other = (correlations(ranking, scores[name]) for name in (ours, rival))
            drawn = bootstrap_means(one, ranking.seed, RESAMPLES) - bootstrap_means(other, ranking.seed, RESAMPLES)
            low, high = np.quantile(drawn, [0.025, 0.975])
            mean = mean_over_attributes(one) - mean_over_attributes(other)
            quicker = scores[ours].clips_per_second / scores[rival].clips_per_second
            rows.append((ours, rival, f"{mean:+.4f}", f"{low:+.4f} to {high:+.4f}", quicker))
    columns = ("ours", "rival", "difference of mean ρ", "95 %", "times quicker")
    return Table(f"Ours less others, L1, {ranking.presets_per_attribute} presets", columns, tuple(rows))


def by_attribute(ranking: Ranking) -> Table:
    """Mean ρ of each attribute."""
    names = (*OURS, *RIVALS)
    scores = {score.model: score for score in ranking.by("l1")}
    rows = tuple(
        (judged.name, *(f"{scores[name].attributes[place].mean:.3f}" for name in names))
        for place, judged in enumerate(ranking.attributes)
    )
    return Table("Mean ρ by attribute, L1", ("attribute", *names), rows)


def published(ranking: Ranking) -> Table:
    """Our mean ρ beside the published one."""
    scores = {score.model: score for score in ranking.by("l1")}
    rows = tuple((name, scores[name].mean, value) for name, value in PUBLISHED.items())
    return Table("Beside the published ρ (TAL-NoiseMaker)", ("model", f"on {ranking.synth}", "published"), rows)


def steps(ranking: Ranking) -> Table:
    """What each attribute was judged on."""
    rows = tuple(
        (judged.name, len(judged.presets), sum(judged.steps), sum(judged.unchanged), judged.tried)
        for judged in ranking.attributes
    )
    columns = ("attribute", "presets", "steps heard", "left out, same sound", "presets tried")
    return Table("What was heard", columns, rows)


def main() -> None:
    name, presets, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    synth = get_synth(name)
    found = without_duplicates(collect_presets([presets], synth, Note()))

    def rank(names: Sequence[str], wanted: int, where: Path) -> Ranking:
        models = [get_audio_model(model) for model in names]
        with counting("moves") as progress:
            ranking = rank_audio_models(synth, models, found, where, presets_per_attribute=wanted, progress=progress)
        write_ranking(ranking, where)
        return ranking

    every = rank(MODELS, PRESETS, folder / "all")
    for table in (summary_table(every, "l1"), published(every), steps(every)):
        print(to_markdown(table))
    pairs = rank((*OURS, *RIVALS), PRESETS_OF_PAIRS, folder / "pairs")
    for table in (summary_table(pairs, "l1"), differences(pairs), by_attribute(pairs)):
        print(to_markdown(table))
    rich.print(describe_machine())


if __name__ == "__main__":
    main()
