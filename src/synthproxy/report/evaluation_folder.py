"""An evaluation from files into a folder: a checkpoint judged by corpora, its tables, plots and pictures."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synthproxy.corpus import Corpus
from synthproxy.errors import InvalidInputError
from synthproxy.files import folder_for_results
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.evaluation import Evaluation, Protocol, evaluate, worst_ranked
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.galleries import by_gallery_size
from synthproxy.proxies.proxy import Proxy
from synthproxy.report.evaluation import write_evaluation
from synthproxy.report.projection import MOST_POINTS, labels_by, require_umap, some_rows, write_projections

WORST = 20
"""Presets that are told to rank worst."""


@dataclass(frozen=True)
class EvaluationOrder:
    """What is to be judged by what.

    Args:
        checkpoint: of the proxy.
        corpus: to judge by.
        training_corpus: that it has learned from, for the nearest-preset baseline.
        hand_crafted: corpus of presets of people, to contrast ``corpus``, which must be synthetic then, with.
        umap: draw the true embeddings in the plane.
        label: a categorical or binary parameter to colour them by, too.
        most_points: presets of each kind that are drawn.
        protocol: how scores are taken.
    """

    checkpoint: Path
    corpus: Path
    training_corpus: Path | None = None
    hand_crafted: Path | None = None
    umap: bool = False
    label: str | None = None
    most_points: int = MOST_POINTS
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.label is not None and not self.umap:
            raise InvalidInputError(f"--label {self.label} says how to colour the picture that --umap draws; give both")
        if self.umap and self.hand_crafted is None and self.label is None:
            raise InvalidInputError(
                "--umap draws hand-crafted presets beside synthetic ones, or all by a parameter; "
                "give --hand-crafted, --label or both"
            )


@dataclass(frozen=True)
class _Material:
    """What an order names, read."""

    proxy: Proxy
    examples: Examples
    names: list[str]
    training: Examples | None
    hand_crafted: Examples | None


def run_evaluation(order: EvaluationOrder, folder: Path | None = None) -> Evaluation:
    """Judge a proxy and, if there is a folder for it, write everything that is known of it.

    Raises:
        IncompatibleError: checkpoint and corpora do not belong together.
        InvalidInputError: a file cannot be used, a corpus is of the other kind, or pictures are wanted but no folder.
        UnavailableError: pictures are wanted, but the package that projects is not installed.
    """
    if order.umap:
        require_umap()
        if folder is None:
            raise InvalidInputError("--umap draws pictures into a folder; give --out")
    material = _read(order)
    if order.label is not None:
        labels_by(material.examples.setting.space, material.examples.presets[:1], order.label)
    with nullcontext() if folder is None else folder_for_results(folder):
        evaluation = evaluate(
            material.proxy,
            material.examples,
            training=material.training,
            hand_crafted=material.hand_crafted,
            protocol=order.protocol,
        )
        if folder is not None:
            _write(order, material, evaluation, folder)
    return evaluation


def _read(order: EvaluationOrder) -> _Material:
    proxy, info = load_checkpoint(order.checkpoint)
    corpus = Corpus.open(order.corpus)
    examples = Examples.from_corpus(corpus)
    info.setting.require_same(examples.setting, str(order.checkpoint))
    training = Examples.from_corpus(Corpus.open(order.training_corpus)) if order.training_corpus else None
    hand_crafted = None
    if order.hand_crafted is not None:
        theirs = Corpus.open(order.hand_crafted)
        for found, kind in ((corpus, "synthetic"), (theirs, "hand-crafted")):
            if found.info.kind != kind:
                raise InvalidInputError(
                    f"{found.path}: a {found.info.kind} corpus, expected a {kind} one; "
                    "--corpus is what `generate` makes, --hand-crafted what `import` makes"
                )
        hand_crafted = Examples.from_corpus(theirs)
        hand_crafted.setting.require_same(examples.setting, f"{order.hand_crafted} and {order.corpus}")
    return _Material(proxy, examples, corpus.names(), training, hand_crafted)


def _write(order: EvaluationOrder, material: _Material, evaluation: Evaluation, folder: Path) -> None:
    predicted, true = material.proxy.embed(material.examples.presets), material.examples.embeddings
    protocol = order.protocol
    worst = [
        (material.names[row] if material.names else f"row {row}", rank)
        for row, rank in worst_ranked(predicted, true, protocol, WORST)
    ]
    points = by_gallery_size(predicted, true, metric=protocol.metric, seed=protocol.seed)
    about = {"checkpoint": str(order.checkpoint), "corpus": str(order.corpus)}
    if order.hand_crafted:
        about["hand_crafted_corpus"] = str(order.hand_crafted)
    write_evaluation(evaluation, points, worst, folder, about)
    if order.umap:
        _draw(order, material, folder)


def _draw(order: EvaluationOrder, material: _Material, folder: Path) -> None:
    kinds = {"synthetic": material.examples, "hand-crafted": material.hand_crafted}
    shown, labels = [], []
    for kind, examples in kinds.items():
        if examples is not None:
            rows = some_rows(len(examples), order.most_points, order.protocol.seed)
            shown.append((examples.presets[rows], examples.embeddings[rows]))
            labels += [kind] * len(rows)
    presets, embeddings = (np.concatenate(parts) for parts in zip(*shown, strict=True))
    setting = material.examples.setting
    labellings = {"kind": labels} if material.hand_crafted is not None else {}
    if order.label is not None:
        labellings[order.label] = labels_by(setting.space, presets, order.label)
    title = f"What {setting.audio_model} hears in presets of {setting.synth}"
    write_projections(embeddings, labellings, folder, title=title, seed=order.protocol.seed)
