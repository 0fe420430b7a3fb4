"""An evaluation of an estimator from files into a folder: judged by a corpus, by recorded sounds, or by both."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synthproxy.audio.registry import get_audio_model
from synthproxy.corpus import Corpus
from synthproxy.errors import InvalidInputError
from synthproxy.files import folder_for_results, replace_file
from synthproxy.matching.estimators.checkpoint import EstimatorInfo, load_estimator
from synthproxy.matching.estimators.evaluation import (
    MatchEvaluation,
    PartOrAll,
    Targets,
    evaluate_estimator,
    learned_presets,
    part_of_corpus,
    targets_of_corpus,
    targets_of_folder,
)
from synthproxy.matching.estimators.heard import HeardPresets
from synthproxy.matching.playing import Player
from synthproxy.report.content import Page, Section
from synthproxy.report.estimator_scores import FEW_SOUND_COLUMNS, category_table, parameter_table, sound_table
from synthproxy.report.listening_folder import write_listening_page
from synthproxy.report.match_sounds import write_match_sounds
from synthproxy.report.sound_folders import sound_table_from_folders
from synthproxy.report.tables import Table, write_tables

MOST: Final = 256
"""Sounds of each kind to judge by, unless asked otherwise."""
OUT_OF_DOMAIN: Final = "Out of domain"
IN_DOMAIN_FOLDER: Final = "in-domain"
OUT_OF_DOMAIN_FOLDER: Final = "out-of-domain"
"""Folders of sounds, and names of tables."""


@dataclass(frozen=True)
class EstimatorOrder:
    """What is to be judged by what.

    Args:
        checkpoint: of the estimator.
        corpus: of its synth; of one that it has learned from, the test part is taken.
        sounds: folder of recorded sounds.
        training_corpus: that it has learned from, for the baselines; need not be given if ``corpus`` is it.
        part: another part of ``corpus``.
        most: sounds of each kind.
        own_notes: play the matches of recorded sounds with the notes of these.
        audio_model, weights: by whose embeddings to judge, too.
    """

    checkpoint: Path
    corpus: Path | None = None
    sounds: Path | None = None
    training_corpus: Path | None = None
    part: PartOrAll | None = None
    most: int = MOST
    own_notes: bool = False
    audio_model: str | None = None
    weights: Path | None = None

    def __post_init__(self) -> None:
        if self.corpus is None and self.sounds is None:
            raise InvalidInputError(
                "an estimator is judged by a corpus, by recorded sounds, or both: --corpus, --sounds"
            )
        if self.most < 1:
            raise InvalidInputError(f"--most: at least one sound is needed, got {self.most}")
        for option, value, needed in (("--part", self.part, self.corpus), ("--own-notes", self.own_notes, self.sounds)):
            if value and needed is None:
                raise InvalidInputError(
                    f"{option} says nothing without {'--corpus' if option == '--part' else '--sounds'}"
                )


@dataclass(frozen=True, eq=False)
class EstimatorEvaluations:
    """What came out: ``part`` tells by which part of the corpus."""

    order: EstimatorOrder
    part: PartOrAll | None
    in_domain: MatchEvaluation | None
    out_of_domain: MatchEvaluation | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "checkpoint": str(self.order.checkpoint),
            "corpus": str(self.order.corpus or ""),
            "part": self.part,
            "sounds": str(self.order.sounds or ""),
            "in_domain": self.in_domain.to_dict() if self.in_domain else None,
            "out_of_domain": self.out_of_domain.to_dict() if self.out_of_domain else None,
        }

    def few_tables(self) -> list[Table]:
        """What a terminal has room for."""
        found = []
        if self.in_domain:
            found += [sound_table(self.in_domain, self._title, FEW_SOUND_COLUMNS)]
            found += [parameter_table(self.in_domain, f"{self._title}: parameters")]
        if self.out_of_domain:
            found += [sound_table(self.out_of_domain, OUT_OF_DOMAIN, FEW_SOUND_COLUMNS)]
        return found

    def tables(self) -> dict[str, Table]:
        """All tables, by the names of their files."""
        found = {}
        if self.in_domain:
            inside = IN_DOMAIN_FOLDER
            found[inside] = sound_table(self.in_domain, self._title)
            found[f"{inside}-parameters"] = parameter_table(self.in_domain, f"{self._title}: parameters")
            found[f"{inside}-categories"] = category_table(self.in_domain, f"{self._title}: categorical parameters")
        if self.out_of_domain:
            found[OUT_OF_DOMAIN_FOLDER] = sound_table(self.out_of_domain, OUT_OF_DOMAIN)
        return found

    def titled(self) -> list[tuple[str, str, MatchEvaluation]]:
        """Title and folder of each, with it."""
        inside = (self._title, IN_DOMAIN_FOLDER, self.in_domain)
        outside = (OUT_OF_DOMAIN, OUT_OF_DOMAIN_FOLDER, self.out_of_domain)
        return [(title, folder, found) for title, folder, found in (inside, outside) if found is not None]

    @property
    def _title(self) -> str:
        return f"In domain, {'all presets' if self.part == 'all' else f'{self.part} presets'}"


def run_estimator_evaluation(order: EstimatorOrder, folder: Path | None = None) -> EstimatorEvaluations:
    """Judge an estimator and, if there is a folder for it, write ``scores.json``, all tables, and sounds to listen to.

    Of the latter, examples are chosen by the published rule; ``index.html`` is the page with their players.

    Raises:
        IncompatibleError: checkpoint and corpora do not belong together.
        InvalidInputError: a file cannot be used.
        UnavailableError: the synth or the audio model is not here.
    """
    estimator, info = load_estimator(order.checkpoint)
    player = Player(info.synth_to_play(), info.rendering)
    model = get_audio_model(order.audio_model, weights=order.weights) if order.audio_model else None
    corpus = Corpus.open(order.corpus) if order.corpus else None
    learned = _learned(order, info, corpus)
    part, inside = _inside(order, info, corpus, player)
    outside = targets_of_folder(order.sounds, player, order.most, own_notes=order.own_notes) if order.sounds else None

    def judge(targets: Targets | None) -> MatchEvaluation | None:
        if targets is None:
            return None
        return evaluate_estimator(estimator, targets, player, learned=learned, audio_model=model)

    with nullcontext() if folder is None else folder_for_results(folder):
        found = EstimatorEvaluations(order, part, judge(inside), judge(outside))
        if folder is not None:
            write_tables(folder, found.tables())
            replace_file(folder / "scores.json", json.dumps(found.to_dict(), indent=1) + "\n")
            _write_sounds(folder, found, player)
    return found


def _write_sounds(folder: Path, evaluations: EstimatorEvaluations, player: Player) -> None:
    sections = []
    for title, name, found in evaluations.titled():
        folders = write_match_sounds(folder / name, found, player)
        means = sound_table(found, "All sounds", FEW_SOUND_COLUMNS)
        players = sound_table_from_folders(f"{title}: examples", folders)
        sections.append(Section(title, "", (means, players)))
    checkpoint = "/".join(evaluations.order.checkpoint.parts[-2:])
    introduction = (
        f"Presets of {player.synth.name} by {checkpoint}, which heard the targets, and what they sound like. Which "
        "sounds are here was chosen without a look at scores. Distances of examples are taken at matched level; lower "
        "is closer."
    )
    write_listening_page(folder, Page("What an estimator makes of sounds", introduction, tuple(sections)))


def _learned(order: EstimatorOrder, info: EstimatorInfo, corpus: Corpus | None) -> HeardPresets | None:
    """What the estimator has learned from, if it is at hand."""
    if order.training_corpus is not None:
        return learned_presets(info, Corpus.open(order.training_corpus))
    return learned_presets(info, corpus) if corpus is not None and info.learned_from.is_of(corpus) else None


def _inside(
    order: EstimatorOrder, info: EstimatorInfo, corpus: Corpus | None, player: Player
) -> tuple[PartOrAll | None, Targets | None]:
    if corpus is None:
        return None, None
    part, rows = part_of_corpus(info, corpus, order.part)
    return part, targets_of_corpus(corpus, rows, player, order.most)
