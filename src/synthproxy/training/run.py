"""A training run under way: its steps, validations and saves, whatever network it trains.

:mod:`synthproxy.proxies.training` starts those of proxies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.rank_zero import rank_zero_only
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.tensorboard import SummaryWriter

from synthproxy.errors import InvalidInputError
from synthproxy.interruption import StopRequest, stop_on_signals
from synthproxy.training.batches import Batches
from synthproxy.training.folder import Counters, RunFolder
from synthproxy.training.progress import ProgressLine, progress_line
from synthproxy.training.recipe import Recipe
from synthproxy.training.task import Task

Ending = Literal["finished", "time limit", "stopped"]
Status = Ending | Literal["already finished"]


@dataclass(frozen=True)
class Plan:
    """How the epochs of a run fall into steps.

    ``validations`` are steps of an epoch, counted from 1; only every so many epochs has them.
    """

    steps_per_epoch: int
    total_steps: int
    validations: frozenset[int]
    epochs_per_validation: int = 1

    @classmethod
    def of(cls, recipe: Recipe, presets: int) -> Plan:
        """The plan of a recipe for a corpus of so many presets; a last batch that is not full is left out."""
        options = recipe.training
        steps = presets // options.batch_size
        if steps == 0:
            raise InvalidInputError(
                f"training.batch_size: {options.batch_size} is more than the {presets} presets of the corpus"
            )
        count = min(options.validations_per_epoch, steps)
        validations = frozenset(round(steps * (k + 1) / count) for k in range(count))
        return cls(steps, steps * options.epochs, validations, options.epochs_per_validation)

    def validates_after(self, step: int) -> bool:
        """Whether a validation follows when so many steps are done."""
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        return place + 1 in self.validations and (epoch + 1) % self.epochs_per_validation == 0

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch is over when so many steps are done."""
        return step % self.steps_per_epoch == 0


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended.

    Args:
        status: ``stopped`` runs continue when the same call is made again; the others are over.
        message: the same in a sentence.
        run_folder: where everything is.
        step, total_steps: how far it got.
        seconds: time spent training, over all continuations.
        best: validation scores of the best checkpoints, by name; none before the first validation.
        leads: whether this is the only process of the run, or the first.
    """

    status: Status
    message: str
    run_folder: Path
    step: int
    total_steps: int
    seconds: float
    best: Mapping[str, float]
    leads: bool = True


class Learnable(Protocol):
    """What is learned from, in memory or not."""

    def __len__(self) -> int: ...

    def batches(self, batch_size: int, seed: int) -> AbstractContextManager[Batches]:
        """Batches of it, inside the block."""


def _result(status: Status, folder: RunFolder, plan: Plan, counters: Counters) -> RunResult:
    """How a run ended, in words too."""
    place = f"after {counters.step} of {plan.total_steps} steps"
    message = {
        "finished": f"finished {place}; checkpoints are in {folder.path}",
        "already finished": f"{folder.path}: this run is finished ({place}); nothing was done",
        "time limit": f"time limit reached {place}; raise machine.max_minutes to continue",
        "stopped": f"stopped {place}; the same command continues",
    }[status]
    return RunResult(
        status=status,
        message=message,
        run_folder=folder.path,
        step=counters.step,
        total_steps=plan.total_steps,
        seconds=counters.seconds,
        best=dict(counters.best),
        leads=getattr(rank_zero_only, "rank", None) in (None, 0),
    )


def train_network(
    recipe: Recipe,
    run_folder: Path,
    training: Learnable,
    learned: dict[str, Any],
    make_task: Callable[[Plan], Task],
    *,
    progress: bool | None = None,
    stop: Callable[[int], bool] | None = None,
) -> RunResult:
    """Train from the beginning, or from where the run folder stands, to the end.

    Ctrl-C, SIGTERM and SIGUSR1 end the current step, save, and return.

    Args:
        recipe: how to train.
        run_folder: made if need be; the same call on the same folder continues.
        training: what is learned from.
        learned: what tells this and all else that the result depends on from others, as plain data for JSON.
        make_task: called with torch's seed set, if there is anything to do.
        progress: show a progress bar; by default on a terminal only.
        stop: asked after each step, with the number of steps done; when it says yes, the run is saved and stopped.

    Raises:
        IncompatibleError: the run folder is of another recipe, or of other corpora.
        InvalidInputError: the batch is larger than what is learned from, or the loss is no number any more.
    """
    plan, options = Plan.of(recipe, len(training)), recipe.training
    folder = RunFolder.open(run_folder, recipe.identity(), learned)
    counters = folder.read_counters()
    if counters.step >= plan.total_steps or _out_of_time(recipe, counters):
        return _result("already finished", folder, plan, counters)
    batches = training.batches(options.batch_size, options.seed)
    with _threads(recipe.machine.threads), stop_on_signals() as request, batches as drawn:
        run = TrainingRun.prepare(recipe, plan, folder, drawn, lambda: make_task(plan))
        return _result(run.until_end(request, progress, stop), folder, plan, run.counters)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads inside the block."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _out_of_time(recipe: Recipe, counters: Counters) -> bool:
    """Whether the run has used up its time limit."""
    limit = recipe.machine.max_minutes
    return limit is not None and counters.seconds >= 60.0 * limit


def _with_shared_norms(task: Task, fabric: Fabric) -> nn.Module:
    """Let batch norms see the whole batch where several processes have a part of it each.

    Raises:
        InvalidInputError: the backend cannot do that.
    """
    network = task.network
    if fabric.world_size == 1 or not any(isinstance(module, _BatchNorm) for module in network.modules()):
        return network
    if fabric.device.type != "cuda":
        raise InvalidInputError(
            f"machine.devices: {task.name} normalises over whole batches, which processes on a {fabric.device.type} "
            "cannot share; take one, or a proxy without batch norms (tfm, gtf)"
        )
    shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return shared


@dataclass
class TrainingRun:
    """``network`` and ``optimiser`` are the plain ones; ``parallel`` and ``stepper`` what Fabric made of them."""

    recipe: Recipe
    plan: Plan
    folder: RunFolder
    batches: Batches
    task: Task
    fabric: Fabric
    network: nn.Module
    optimiser: torch.optim.AdamW
    parallel: _FabricModule
    stepper: _FabricOptimizer
    counters: Counters
    loss_sum: Tensor

    @classmethod
    def prepare(
        cls, recipe: Recipe, plan: Plan, folder: RunFolder, batches: Batches, make_task: Callable[[], Task]
    ) -> TrainingRun:
        """Build everything, on its device, and put back what was saved."""
        options, machine = recipe.training, recipe.machine
        if options.batch_size % machine.devices:
            raise InvalidInputError(
                f"training.batch_size: {options.batch_size} does not divide among {machine.devices} devices"
            )
        fabric = Fabric(accelerator=machine.accelerator, devices=machine.devices, precision=options.precision)
        fabric.launch()
        torch.manual_seed(options.seed)
        task = make_task()
        network = _with_shared_norms(task, fabric)
        optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=options.learning_rate,
            betas=options.betas,
            eps=options.epsilon,
            weight_decay=options.weight_decay,
            fused=fabric.device.type in ("cpu", "cuda"),
        )
        parallel, stepper = fabric.setup(network, optimiser)
        task.move(fabric.device)
        counters = folder.load_state(network, optimiser)
        return cls(
            recipe=recipe,
            plan=plan,
            folder=folder,
            batches=batches,
            task=task,
            fabric=fabric,
            network=network,
            optimiser=optimiser,
            parallel=parallel,
            stepper=stepper,
            counters=counters,
            loss_sum=torch.tensor(counters.loss_sum, dtype=torch.float32, device=fabric.device),
        )

    def until_end(self, request: StopRequest, progress: bool | None, stop: Callable[[int], bool] | None) -> Ending:
        """Step, validate and save until the run is over or asked to stop; say which."""
        counters, plan, leads = self.counters, self.plan, self.fabric.is_global_zero
        first, seconds_before = counters.step, counters.seconds
        if leads:
            self.folder.drop_metrics_after(first)
        board = SummaryWriter(str(self.folder.path), purge_step=first + 1) if leads else nullcontext()
        show = progress if leads else False
        begun = saved = time.monotonic()
        with board as writer, progress_line(self.task.name, first, plan.total_steps, show) as line:
            while True:
                self._step()
                now = time.monotonic()
                counters.seconds = seconds_before + now - begun
                speed = (counters.step - first) / (now - begun)
                line.step(counters.step, speed, self.recipe.training.batch_size)
                ending = self._ending(request, stop)
                if plan.validates_after(counters.step) or ending in ("finished", "time limit"):
                    self._validate(speed, writer, line)
                is_due = now - saved >= 60.0 * self.recipe.machine.save_minutes
                if ending or is_due or plan.ends_epoch(counters.step):
                    self._save()
                    saved = time.monotonic()
                if ending:
                    return ending

    def _ending(self, request: StopRequest, stop: Callable[[int], bool] | None) -> Ending | None:
        """Whether and how the run ends after this step; with several processes the first decides for all."""
        ending: Ending | None = None
        if self.counters.step >= self.plan.total_steps:
            ending = "finished"
        elif _out_of_time(self.recipe, self.counters):
            ending = "time limit"
        elif request.by or (stop is not None and stop(self.counters.step)):
            ending = "stopped"
        if self.fabric.world_size > 1:
            ending = self.fabric.broadcast(ending)
        return ending

    def learning_rate(self) -> float:
        """That of the next step."""
        counters, plan, peak = self.counters, self.plan, self.recipe.training.learning_rate
        return self.recipe.schedule.learning_rate(
            counters.step, peak, plan.steps_per_epoch, plan.total_steps, counters.watched
        )

    def _batch(self) -> tuple[Tensor, ...]:
        """This process's share of the next batch, on the device."""
        epoch, place = divmod(self.counters.step, self.plan.steps_per_epoch)
        share = slice(self.fabric.global_rank, None, self.fabric.world_size)
        columns = self.batches.batch(epoch, place, share)
        return tuple(torch.from_numpy(column).to(self.fabric.device) for column in columns)

    def _step(self) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        batch = self._batch()
        self.parallel.train()
        loss = self.task.loss(self.parallel, batch, self.counters.step)
        self.fabric.backward(loss)
        self._clip_gradients()
        self.stepper.step()
        self.stepper.zero_grad()
        self.loss_sum += loss.detach()
        self.counters.loss_steps += 1
        self.counters.step += 1

    def _clip_gradients(self) -> None:
        most = self.recipe.training.gradient_clip
        if most is not None:
            # One that is no number is left to the loss, which tells what to do about it.
            self.fabric.clip_gradients(self.parallel, self.stepper, max_norm=most, error_if_nonfinite=False)

    def _training_loss(self) -> float:
        """Mean since the last validation.

        Raises:
            InvalidInputError: it is no number any more; what was saved before stays as it is.
        """
        loss = float(self.loss_sum) / max(self.counters.loss_steps, 1)
        if not math.isfinite(loss):
            raise InvalidInputError(
                f"the training loss is {loss} at step {self.counters.step}; lower training.learning_rate"
            )
        return loss

    def _validate(self, speed: float, writer: SummaryWriter | None, line: ProgressLine) -> None:
        """Score the network, note the scores, and keep it if it is the best so far."""
        counters, options, task = self.counters, self.recipe.training, self.task
        training_loss = self._training_loss()
        self.loss_sum.zero_()
        counters.loss_steps = 0
        if writer is not None:
            scores = task.scores(counters.step)
            metrics = {
                "step": counters.step,
                "presets": counters.step * options.batch_size,
                "epoch": counters.step / self.plan.steps_per_epoch,
                "training_loss": training_loss,
                **scores,
                "learning_rate": float(self.optimiser.param_groups[0]["lr"]),
                "seconds": round(counters.seconds, 1),
                "presets_per_second": round(speed * options.batch_size, 1),
            }
            self._note(metrics, writer)
            line.validated({name: scores[key] for key, name in task.shown.items()})
            counters.watched.append(scores[task.watched])
        if self.fabric.world_size > 1:
            counters.watched = self.fabric.broadcast(counters.watched)
        self.fabric.barrier()

    def _note(self, metrics: dict[str, float], writer: SummaryWriter) -> None:
        counters = self.counters
        self.folder.append_metrics(metrics)
        for name in metrics.keys() - {"step"}:
            writer.add_scalar(name, metrics[name], counters.step)
        writer.flush()
        for name, better in self.task.best.items():
            score, before = metrics[name], counters.best.get(name)
            if before is None or (score < before if better == "lowest" else score > before):
                counters.best[name] = score
                self.task.save(self.folder.checkpoint(f"best_{name}"), metrics)

    def _save(self) -> None:
        """Save the moment to continue from, and the latest weights for use."""
        self._training_loss()
        if self.fabric.is_global_zero:
            self.counters.loss_sum = float(self.loss_sum)
            self.folder.save_state(self.network, self.optimiser, self.counters)
            latest = self.folder.read_metrics()[-1:] or [{"step": self.counters.step}]
            self.task.save(self.folder.checkpoint("last"), latest[0])
        self.fabric.barrier()
