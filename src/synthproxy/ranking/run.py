"""The whole ranking: presets chosen, attributes moved on them, every audio model asked for their order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from synthproxy.audio.io import resample
from synthproxy.corpus.generate import Progress, worker_count
from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.ranking.attributes import Attribute
from synthproxy.ranking.clips import SAMPLE_RATE, Choice, choose_sweeps, play, unfit_as_base
from synthproxy.ranking.correlation import DISTANCES, Distance, pairwise_distances
from synthproxy.ranking.folder import Heard, RankingFolder
from synthproxy.ranking.plan import Plan, make_plan
from synthproxy.ranking.results import Ranking, summarise
from synthproxy.synths import NamedPreset, Synth
from synthproxy.synths.space import Floats
from synthproxy.workers import independent_workers

if TYPE_CHECKING:
    from synthproxy.audio.base import AudioModel

Item = TypeVar("Item")
Result = TypeVar("Result")


def rank_audio_models(
    synth: Synth,
    models: Sequence[AudioModel],
    presets: Sequence[NamedPreset],
    folder: Path,
    *,
    attributes: Sequence[Attribute] | None = None,
    presets_per_attribute: int = 10,
    steps: int = 20,
    distances: Sequence[Distance] = DISTANCES,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Ranking:
    """Rank audio models by how well they find the order in which an attribute of a sound was moved.

    The protocol is that of Combes, Weinzierl and Obermayer (JAES 2025): each attribute of a synth is moved in equal
    steps on several base presets; the clips of one move are embedded and ordered by their distance from the first and
    from the last one, and that order is compared with the true one.

    Args:
        synth: what plays ``presets``.
        models: what is ranked. More can be ranked in the same folder later; only they listen then.
        presets: candidates for base presets, usually made by people. They are tried in an order drawn by ``seed``; see
            :mod:`synthproxy.ranking.clips` for what makes one fit.
        folder: where all that takes time is kept; the same call goes on there after an interruption.
        attributes: what is moved; by default all that are known of this synth.
        presets_per_attribute: base presets of each attribute. Where fewer fit, fewer are used; the result tells.
        steps: of each move.
        distances: by which models are ranked.
        workers: threads; all cores by default. The result does not depend on it.
        progress: called with the number of moves done and of all; each counts once when it is chosen and once for
            every model.

    Raises:
        InvalidInputError: nothing to rank, or no preset that an attribute can be judged on.
        IncompatibleError: the folder belongs to a ranking of other settings.
        UnavailableError: the synth cannot be played here, or not as an attribute needs it.
        KeyboardInterrupt: what has been chosen and heard is kept.
    """
    _check(models, distances)
    threads = worker_count(workers)
    plan = make_plan(synth, presets, attributes, wanted=presets_per_attribute, steps=steps, seed=seed)
    place = RankingFolder(folder, plan)
    total = len(plan.attributes) * plan.wanted * (1 + len(models))
    choices = _choose(plan, place, threads, total, progress)
    heard = _listen(plan, choices, models, place, threads, progress)
    return summarise(plan, choices, models, heard, distances)


def _check(models: Sequence[AudioModel], distances: Sequence[Distance]) -> None:
    names = [model.name for model in models]
    if not names:
        raise InvalidInputError("there is no audio model to rank")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(f"the audio model {twice[0]} is given twice")
    if not distances or (unknown := sorted(set(distances) - set(DISTANCES))):
        got = f"got {unknown[0]!r}" if distances else "got none"
        raise InvalidInputError(f"models are ranked by the distances {', '.join(DISTANCES)}; {got}")


def _choose(
    plan: Plan, folder: RankingFolder, threads: int, total: int, progress: Progress | None
) -> tuple[Choice, ...]:
    """The base presets of every attribute, from the folder where they are chosen already."""
    chosen = folder.choices()

    @cache
    def unfit(candidate: int) -> str:
        return unfit_as_base(plan.synth, plan.candidates[candidate].vector)

    def choose(attribute: Attribute, stop: threading.Event) -> Choice:  # noqa: ARG001
        return choose_sweeps(plan, attribute, unfit)

    def keep(choice: Choice) -> None:
        if not choice.sweeps:
            reasons = ", ".join(f"{count} {reason}" for reason, count in choice.refused.items())
            raise InvalidInputError(
                f"{choice.attribute}: none of {choice.tried} presets lets it be judged ({reasons}): "
                "give more presets or leave this attribute out"
            )
        chosen[choice.attribute] = choice
        folder.write_choices(chosen)
        if progress:
            progress(len(chosen) * plan.wanted, total)

    _in_threads(choose, [a for a in plan.attributes if a.name not in chosen], threads, keep)
    return tuple(chosen[attribute.name] for attribute in plan.attributes)


def _listen(
    plan: Plan,
    choices: Sequence[Choice],
    models: Sequence[AudioModel],
    folder: RankingFolder,
    threads: int,
    progress: Progress | None,
) -> dict[str, Heard]:
    """Let every model hear every sweep that it has not heard yet."""
    attributes = {attribute.name: attribute for attribute in plan.attributes}
    sweeps = [(attributes[choice.attribute], sweep) for choice in choices for sweep in choice.sweeps]
    heard = {model.name: folder.heard(model.name, model.identity, len(sweeps), plan.steps) for model in models}
    lock = threading.Lock()

    def listen(number: int, stop: threading.Event) -> None:
        attribute, sweep = sweeps[number]
        clips = play(plan.synth, plan.move(attribute, sweep.candidate)[list(sweep.changing)])
        for model in models:
            if stop.is_set() or heard[model.name].done[number]:
                continue
            embeddings, seconds = _embed(model, clips)
            distances = [pairwise_distances(embeddings, distance) for distance in DISTANCES]
            with lock:
                heard[model.name].note(number, distances, seconds, embeddings.shape[1])
                folder.write_heard(model.name, model.identity, heard[model.name])

    def report(_: None = None) -> None:
        if progress:
            done = sum(int(one.done.sum()) for one in heard.values())
            progress(len(sweeps) + done, len(sweeps) * (1 + len(models)))

    report()
    missing = np.nonzero(~np.all([one.done for one in heard.values()], axis=0))[0].tolist()
    _in_threads(listen, missing, threads, report)
    return heard


def _embed(model: AudioModel, clips: Floats) -> tuple[Floats, float]:
    """Embeddings of clips, (n, samples) to (n, dimension), and how many seconds they took without resampling."""
    import torch

    audio = torch.from_numpy(resample(clips, SAMPLE_RATE, model.sample_rate))
    begun = time.perf_counter()
    with torch.inference_mode():
        embeddings = model.embed(audio).numpy()
    seconds = time.perf_counter() - begun
    if not np.isfinite(embeddings).all():
        raise UnavailableError(f"audio model {model.name} gives embeddings that are not finite: leave it out")
    return embeddings, seconds


def _in_threads(
    work: Callable[[Item, threading.Event], Result],
    items: Sequence[Item],
    threads: int,
    finished: Callable[[Result], None],
) -> None:
    """Do work on every item in threads, and something with each result in this one.

    If anything fails or the user interrupts, work that has begun is asked to stop, and nothing new begins.
    """
    stop = threading.Event()
    with independent_workers(), ThreadPoolExecutor(threads, thread_name_prefix="ranking") as pool:
        futures = [pool.submit(work, item, stop) for item in items]
        try:
            for future in as_completed(futures):
                finished(future.result())
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
