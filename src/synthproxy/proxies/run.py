"""A training run under way: its steps, validations and saves. :mod:`synthproxy.proxies.training` starts it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter

from synthproxy.errors import InvalidInputError
from synthproxy.interruption import StopRequest
from synthproxy.proxies.batches import Batches, TrainingExamples
from synthproxy.proxies.checkpoint import load_checkpoint, save_checkpoint
from synthproxy.proxies.evaluation import Protocol, mean_absolute_error, validation_score
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.progress import ProgressLine, progress_line
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.recipe import TrainingRecipe
from synthproxy.proxies.run_folder import Counters, RunFolder
from synthproxy.proxies.tokens import to_soft
from synthproxy.proxies.zoo import make_proxy

OUTPUTS_SHOWN = 16_384
"""Embeddings that a new proxy is shown, to know where they lie."""

Ending = Literal["finished", "time limit", "stopped"]


@dataclass(frozen=True)
class Plan:
    """How the epochs of a run fall into steps; ``validations`` are steps of an epoch, counted from 1."""

    steps_per_epoch: int
    total_steps: int
    validations: frozenset[int]

    @classmethod
    def of(cls, recipe: TrainingRecipe, presets: int) -> Plan:
        """The plan of a recipe for a corpus of so many presets; a last batch that is not full is left out."""
        options = recipe.training
        steps = presets // options.batch_size
        if steps == 0:
            raise InvalidInputError(
                f"training.batch_size: {options.batch_size} is more than the {presets} presets of the corpus"
            )
        count = min(options.validations_per_epoch, steps)
        return cls(steps, steps * options.epochs, frozenset(round(steps * (k + 1) / count) for k in range(count)))

    def validates_after(self, step: int) -> bool:
        """Whether a validation follows when so many steps are done."""
        return (step - 1) % self.steps_per_epoch + 1 in self.validations

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch is over when so many steps are done."""
        return step % self.steps_per_epoch == 0


def out_of_time(recipe: TrainingRecipe, counters: Counters) -> bool:
    """Whether the run has used up its time limit."""
    limit = recipe.machine.max_minutes
    return limit is not None and counters.seconds >= 60.0 * limit


def new_proxy(recipe: TrainingRecipe, training: TrainingExamples) -> Proxy:
    """The proxy before its first step: new, or that of the checkpoint to start from."""
    torch.manual_seed(recipe.training.seed)
    choice = recipe.proxy
    proxy = make_proxy(choice.name, training.setting.space, training.dimension, **choice.sizes)
    if choice.start_from is None:
        proxy.fit_output(training.first(OUTPUTS_SHOWN).embeddings)
    else:
        start, info = load_checkpoint(choice.start_from)
        info.setting.require_same(training.setting, f"{choice.start_from} and the training corpus")
        if (start.name, dict(start.sizes), start.dimension) != (proxy.name, dict(proxy.sizes), proxy.dimension):
            raise InvalidInputError(f"{choice.start_from}: is a {start.name} of other sizes than the recipe's proxy")
        proxy.load_state_dict(start.state_dict())
    return proxy


def _with_shared_norms(proxy: Proxy, fabric: Fabric) -> Proxy:
    """Let batch norms see the whole batch where several processes have a part of it each.

    Raises:
        InvalidInputError: the backend cannot do that.
    """
    if fabric.world_size == 1 or not any(isinstance(module, nn.BatchNorm1d) for module in proxy.modules()):
        return proxy
    if fabric.device.type != "cuda":
        raise InvalidInputError(
            f"machine.devices: {proxy.name} normalises over whole batches, which processes on a {fabric.device.type} "
            "cannot share; take one, or a proxy without batch norms (tfm, gtf)"
        )
    shared: Proxy = nn.SyncBatchNorm.convert_sync_batchnorm(proxy)  # type: ignore[no-untyped-call]
    return shared


@dataclass
class TrainingRun:
    """``proxy`` and ``optimiser`` are the plain ones; ``parallel`` and ``stepper`` what Fabric made of them."""

    recipe: TrainingRecipe
    plan: Plan
    folder: RunFolder
    training: TrainingExamples
    batches: Batches
    validation: Examples
    fabric: Fabric
    proxy: Proxy
    optimiser: torch.optim.AdamW
    parallel: _FabricModule
    stepper: _FabricOptimizer
    counters: Counters
    loss_sum: Tensor

    @classmethod
    def prepare(
        cls,
        recipe: TrainingRecipe,
        training: TrainingExamples,
        batches: Batches,
        validation: Examples,
        folder: RunFolder,
        plan: Plan,
    ) -> TrainingRun:
        """Build everything, on its device, and put back what was saved."""
        options, machine = recipe.training, recipe.machine
        if options.batch_size % machine.devices:
            raise InvalidInputError(
                f"training.batch_size: {options.batch_size} does not divide among {machine.devices} devices"
            )
        fabric = Fabric(accelerator=machine.accelerator, devices=machine.devices, precision=options.precision)
        fabric.launch()
        proxy = _with_shared_norms(new_proxy(recipe, training), fabric)
        optimiser = torch.optim.AdamW(
            proxy.parameters(),
            lr=options.learning_rate,
            betas=options.betas,
            eps=options.epsilon,
            weight_decay=options.weight_decay,
            fused=fabric.device.type in ("cpu", "cuda"),
        )
        parallel, stepper = fabric.setup(proxy, optimiser)
        counters = folder.load_state(proxy, optimiser)
        loss_sum = torch.tensor(counters.loss_sum, dtype=torch.float32, device=fabric.device)
        return cls(
            recipe=recipe,
            plan=plan,
            folder=folder,
            training=training,
            batches=batches,
            validation=validation,
            fabric=fabric,
            proxy=proxy,
            optimiser=optimiser,
            parallel=parallel,
            stepper=stepper,
            counters=counters,
            loss_sum=loss_sum,
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
        with board as writer, progress_line(self.recipe.proxy.name, first, plan.total_steps, show) as line:
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
        elif out_of_time(self.recipe, self.counters):
            ending = "time limit"
        elif request.by or (stop is not None and stop(self.counters.step)):
            ending = "stopped"
        if self.fabric.world_size > 1:
            ending = self.fabric.broadcast(ending)
        return ending

    def learning_rate(self) -> float:
        """That of the next step."""
        peak = self.recipe.training.learning_rate
        return self.recipe.schedule.learning_rate(
            self.counters.step, peak, self.plan.steps_per_epoch, self.plan.total_steps, self.counters.l1
        )

    def _batch(self) -> tuple[Tensor, Tensor]:
        """This process's share of the next batch: soft presets and embeddings, on the device."""
        epoch, place = divmod(self.counters.step, self.plan.steps_per_epoch)
        share = slice(self.fabric.global_rank, None, self.fabric.world_size)
        presets, embeddings = (
            torch.from_numpy(values).to(self.fabric.device) for values in self.batches.batch(epoch, place, share)
        )
        return to_soft(self.training.setting.space, presets), embeddings

    def _step(self) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        soft, embeddings = self._batch()
        self.parallel.train()
        predicted = self.parallel(soft)
        is_l1 = self.recipe.training.loss == "l1"
        loss = F.l1_loss(predicted, embeddings) if is_l1 else F.mse_loss(predicted, embeddings)
        self.fabric.backward(loss)
        self.stepper.step()
        self.stepper.zero_grad()
        self.loss_sum += loss.detach()
        self.counters.loss_steps += 1
        self.counters.step += 1

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
        """Score the proxy, note the scores, and keep it if it is the best so far."""
        counters, options = self.counters, self.recipe.training
        training_loss = self._training_loss()
        self.loss_sum.zero_()
        counters.loss_steps = 0
        if writer is not None:
            predicted, true = self.proxy.embed(self.validation.presets), self.validation.embeddings
            protocol = Protocol(metric="l1" if options.loss == "l1" else "l2")
            metrics = {
                "step": counters.step,
                "presets": counters.step * options.batch_size,
                "epoch": counters.step / self.plan.steps_per_epoch,
                "training_loss": training_loss,
                "l1": mean_absolute_error(predicted, true),
                "mrr": validation_score(predicted, true, protocol).mrr,
                "learning_rate": float(self.optimiser.param_groups[0]["lr"]),
                "seconds": round(counters.seconds, 1),
                "presets_per_second": round(speed * options.batch_size, 1),
            }
            self._note(metrics, writer)
            line.validated(metrics)
            counters.l1.append(metrics["l1"])
        if self.fabric.world_size > 1:
            counters.l1 = self.fabric.broadcast(counters.l1)
        self.fabric.barrier()

    def _note(self, metrics: dict[str, float], writer: SummaryWriter) -> None:
        counters, l1, mrr = self.counters, metrics["l1"], metrics["mrr"]
        self.folder.append_metrics(metrics)
        for name in metrics.keys() - {"step"}:
            writer.add_scalar(name, metrics[name], counters.step)
        writer.flush()
        if counters.best_l1 is None or l1 < counters.best_l1:
            counters.best_l1 = l1
            save_checkpoint(self.folder.checkpoint("best_l1"), self.proxy, self.training.setting, metrics)
        if counters.best_mrr is None or mrr > counters.best_mrr:
            counters.best_mrr = mrr
            save_checkpoint(self.folder.checkpoint("best_mrr"), self.proxy, self.training.setting, metrics)

    def _save(self) -> None:
        """Save the moment to continue from, and the latest weights for use."""
        self._training_loss()
        if self.fabric.is_global_zero:
            self.counters.loss_sum = float(self.loss_sum)
            self.folder.save_state(self.proxy, self.optimiser, self.counters)
            latest = self.folder.read_metrics()[-1:] or [{"step": self.counters.step}]
            save_checkpoint(self.folder.checkpoint("last"), self.proxy, self.training.setting, latest[0])
        self.fabric.barrier()
