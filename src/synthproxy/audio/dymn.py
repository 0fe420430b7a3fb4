"""DyMN (Schmid et al. 2024) as audio models: EfficientAT's MobileNets with layers that every sound tunes for itself.

A block sums up what it is given in a context, and the context chooses how its convolutions are mixed, how its ReLU
bends, and which bands and frames pass. A clip is heard in one pass; a frame is the average over the bands of the last
feature map, so that the mean over frames is the embedding that upstream returns.

Names and shapes of weights and the network were checked against a transcription of the code of fschmid56/EfficientAT,
run with random weights, and sizes against the published ones; the published files were not at hand, so their SHA-256
is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthproxy.audio.published import PublishedFrames, PublishedModel, check_fit, read_weight_file
from synthproxy.audio.sizes import SAMPLE_RATE, make_divisible, scaled_channels

if TYPE_CHECKING:
    from torch import Tensor

    from synthproxy.audio.efficientat import LogMelFrontEnd
    from synthproxy.audio.mobilenet import BlockSettings

__all__ = ["MODELS", "DyMN", "build", "weight_shapes"]

Shape = tuple[int, ...]

KERNELS: Final = 4
"""Convolutions that a dynamic one mixes."""

PIECES: Final = 2
"""Straight lines of which a dynamic ReLU is the maximum."""

LAST_EXPANSION: Final = 6
CONTEXT_RATIO: Final = 4
CONTEXT_LIMITS: Final = (32, 128)
"""Fewest and most values of a context at width 1."""

NORM_EPSILON: Final = 1e-3
SHORTEST: Final = 1024
REVISION: Final = 1
RELEASE: Final = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"


@dataclass(frozen=True, kw_only=True)
class DyMN(PublishedModel):
    """A published DyMN."""

    width: float
    sample_rate: int = SAMPLE_RATE
    frames: int = 16
    reduction: str = "mean"
    licence: str = "MIT (EfficientAT, Schmid et al.)"


MODELS: Final = (
    DyMN(
        name="dymn04",
        width=0.4,
        channels=384,
        parameters=1_493_768,
        file_name="dymn04_as.pt",
        url=f"{RELEASE}/dymn04_as.pt",
    ),
    DyMN(
        name="dymn10",
        width=1.0,
        channels=960,
        parameters=8_643_312,
        file_name="dymn10_as.pt",
        url=f"{RELEASE}/dymn10_as.pt",
    ),
    DyMN(
        name="dymn20",
        width=2.0,
        channels=1920,
        parameters=33_698_736,
        file_name="dymn20_as_mAP_493.pt",
        url=f"{RELEASE}/dymn20_as_mAP_493.pt",
    ),
)


def build(model: DyMN, path: Path) -> PublishedFrames:
    """Build a DyMN from its weight file.

    Raises:
        InvalidInputError: the file is missing, damaged or of another network.
    """
    import torch

    from synthproxy.audio.efficientat import LogMelFrontEnd

    file = read_weight_file(model, path)
    weights = {
        name: tensor for name, tensor in file.without("classifier.").items() if not name.endswith("num_batches_tracked")
    }
    expected = {name: torch.empty(shape, device="meta") for name, shape in weight_shapes(model.width).items()}
    check_fit(model, file.path, expected, weights)
    hear = partial(_hear, _Network(weights, model.width), LogMelFrontEnd())
    return PublishedFrames(model, file.digest, hear, shortest=SHORTEST, revision=REVISION)


def _hear(network: Callable[[Tensor], Tensor], front_end: LogMelFrontEnd, audio: Tensor) -> Tensor:
    return network(front_end.of_clips(audio)).mean(dim=2).transpose(1, 2)


def weight_shapes(width: float) -> dict[str, Shape]:
    """Shapes of the weights by their published names, without the classifier and the counters of training steps."""
    from synthproxy.audio.mobilenet import BLOCKS

    first, last = scaled_channels(BLOCKS[0].input_channels, width), scaled_channels(BLOCKS[-1].output_channels, width)
    shapes = {"in_c.0.weight": (first, 1, 3, 3), **norm_shapes("in_c.1", first)}
    for index, settings in enumerate(BLOCKS):
        shapes |= {f"layers.{index}.{name}": shape for name, shape in _block_shapes(settings, width)}
    shapes["out_c.0.weight"] = (LAST_EXPANSION * last, last, 1, 1)
    return shapes | norm_shapes("out_c.1", LAST_EXPANSION * last)


def _block_shapes(settings: BlockSettings, width: float) -> Iterator[tuple[str, Shape]]:
    inputs = scaled_channels(settings.input_channels, width)
    expanded = scaled_channels(settings.expanded_channels, width)
    outputs = scaled_channels(settings.output_channels, width)
    least, most = (scaled_channels(limit, width) for limit in CONTEXT_LIMITS)
    context = min(max(make_divisible(expanded // CONTEXT_RATIO), least), most)
    convolutions = {"depth": expanded * settings.kernel**2, "proj": outputs * expanded}
    if expanded != inputs:
        convolutions["exp"] = expanded * inputs
    for name, size in convolutions.items():
        yield f"{name}_conv.weight", (1, 1, KERNELS, size)
        yield from _linear_shapes(f"{name}_conv.residuals.0", context, KERNELS)
        yield from norm_shapes(f"{name}_norm", outputs if name == "proj" else expanded).items()
    yield from _linear_shapes("depth_act.coef_net.0", context, 2 * PIECES * expanded)
    yield "depth_act.lambdas", (2 * PIECES,)
    yield "depth_act.init_v", (2 * PIECES,)
    yield "context_gen.joint_conv.weight", (context, inputs, 1, 1)
    yield from norm_shapes("context_gen.joint_norm", context).items()
    for name in ("conv_f", "conv_t"):
        yield f"context_gen.{name}.weight", (expanded, context, 1, 1)
        yield f"context_gen.{name}.bias", (expanded,)


def _linear_shapes(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def norm_shapes(name: str, channels: int) -> dict[str, Shape]:
    """Shapes of what a batch normalisation keeps, by its published names."""
    return {f"{name}.{kind}": (channels,) for kind in ("weight", "bias", "running_mean", "running_var")}


def fold_norm(
    weights: Mapping[str, Tensor], kernels: Tensor, norm: str, *, bias: Tensor | float = 0.0, channel_axis: int = 0
) -> tuple[Tensor, Tensor]:
    """Multiply a batch normalisation, as it is after training, into the convolution before it.

    Args:
        weights: holds the normalisation's weight, bias, running mean and running variance.
        kernels: the convolution's kernels.
        norm: name of the normalisation.
        bias: the convolution's bias, (output channels,), if it has one.
        channel_axis: axis of ``kernels`` that counts output channels.

    Returns:
        Kernels, contiguous, and bias, (output channels,), of the convolution that stands for both; float32.
    """
    # In double precision, so that folding adds one rounding and no more.
    variance, mean = weights[f"{norm}.running_var"].double(), weights[f"{norm}.running_mean"].double()
    scale = weights[f"{norm}.weight"].double() / (variance + NORM_EPSILON).sqrt()
    shape = [1] * kernels.ndim
    shape[channel_axis] = -1
    folded = (weights[f"{norm}.bias"].double() + (bias - mean) * scale).float()
    return (kernels.double() * scale.view(shape)).float().contiguous(), folded


@dataclass(frozen=True, eq=False)
class _DynamicConvolution:
    """Convolutions mixed by the context of one sound; ``kernels``: (4, outputs, inputs of a group, size, size)."""

    kernels: Tensor
    bias: Tensor
    mix: tuple[Tensor, Tensor]
    stride: int = 1
    groups: int = 1

    def __call__(self, x: Tensor, context: Tensor) -> Tensor:
        from torch.nn import functional as F

        shares = F.linear(context, *self.mix).softmax(dim=-1)
        kernel = (shares @ self.kernels.flatten(1)).view(self.kernels.shape[1:])
        return F.conv2d(x, kernel, self.bias, self.stride, kernel.shape[-1] // 2, groups=self.groups)


class _DynamicBlock:
    """Expand, filter each channel on its own, bend, gate, project; add the input where the shapes allow."""

    def __init__(self, weights: Mapping[str, Tensor], settings: BlockSettings, width: float) -> None:
        self.stride = settings.stride
        self.hardswish = settings.activation == "hardswish"
        expanded = scaled_channels(settings.expanded_channels, width)
        outputs = scaled_channels(settings.output_channels, width)
        self.expand = self._convolution(weights, "exp", expanded, 1) if "exp_conv.weight" in weights else None
        self.filter = self._convolution(
            weights, "depth", expanded, settings.kernel, stride=settings.stride, groups=expanded
        )
        self.project = self._convolution(weights, "proj", outputs, 1)
        self.bend = (weights["depth_act.coef_net.0.weight"], weights["depth_act.coef_net.0.bias"])
        self.bend_range, self.bend_start = weights["depth_act.lambdas"], weights["depth_act.init_v"]
        self.join = fold_norm(weights, weights["context_gen.joint_conv.weight"][..., 0], "context_gen.joint_norm")
        self.gates = tuple(
            (weights[f"context_gen.{name}.weight"][..., 0], weights[f"context_gen.{name}.bias"])
            for name in ("conv_f", "conv_t")
        )

    @staticmethod
    def _convolution(
        weights: Mapping[str, Tensor], name: str, outputs: int, size: int, *, stride: int = 1, groups: int = 1
    ) -> _DynamicConvolution:
        kernels = weights[f"{name}_conv.weight"].view(KERNELS, outputs, -1, size, size)
        mix = (weights[f"{name}_conv.residuals.0.weight"], weights[f"{name}_conv.residuals.0.bias"])
        return _DynamicConvolution(*fold_norm(weights, kernels, f"{name}_norm", channel_axis=1), mix, stride, groups)

    def __call__(self, x: Tensor) -> Tensor:
        """(1, inputs, bands, frames) to (1, outputs, bands / stride, frames / stride), rounded up."""
        from torch.nn import functional as F

        context, band_gate, frame_gate = self._context(x)
        y = x
        if self.expand is not None:
            y = self.expand(y, context)
            y = F.hardswish(y, inplace=True) if self.hardswish else F.relu_(y)
        y = self._bent(self.filter(y, context), context)
        y = self.project(y * band_gate * frame_gate, context)
        return y + x if y.shape == x.shape else y

    def _context(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Context (context values,), and gates (1, expanded, bands, 1) and (1, expanded, 1, frames)."""
        import torch
        from torch.nn import functional as F

        bands, frames = x.shape[2:]
        joined = F.hardswish(F.conv1d(torch.cat([x.mean(dim=3), x.mean(dim=2)], dim=2), *self.join))
        gates = []
        for part, gate in zip(torch.split(joined, [bands, frames], dim=2), self.gates, strict=True):
            pooled = F.avg_pool1d(part, 3, self.stride, 1) if self.stride > 1 else part
            gates.append(F.conv1d(pooled, *gate).sigmoid())
        return joined.mean(dim=2)[0], gates[0][..., None], gates[1][:, :, None]

    def _bent(self, x: Tensor, context: Tensor) -> Tensor:
        """The larger of two straight lines per channel."""
        import torch
        from torch.nn import functional as F

        swing = 2.0 * F.linear(context, *self.bend).sigmoid() - 1.0
        lines = swing.view(-1, 2 * PIECES) * self.bend_range + self.bend_start
        slopes, offsets = (part[..., None, None] for part in torch.split(lines.T, PIECES))
        return torch.maximum(x * slopes[0] + offsets[0], x * slopes[1] + offsets[1])


class _Network:
    """Feature layers for one sound at a time; every normalisation is folded into the convolution before it."""

    def __init__(self, weights: Mapping[str, Tensor], width: float) -> None:
        from synthproxy.audio.mobilenet import BLOCKS

        self.first = fold_norm(weights, weights["in_c.0.weight"], "in_c.1")
        self.last = fold_norm(weights, weights["out_c.0.weight"], "out_c.1")
        self.blocks = []
        for index, settings in enumerate(BLOCKS):
            prefix = f"layers.{index}."
            own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
            self.blocks.append(_DynamicBlock(own, settings, width))

    def __call__(self, log_mel: Tensor) -> Tensor:
        """(1, 128, frames) to (1, channels, 4, frames / 32), rounded up."""
        from torch.nn import functional as F

        x = F.hardswish(F.conv2d(log_mel[:, None], *self.first, stride=2, padding=1))
        for block in self.blocks:
            x = block(x)
        return F.hardswish(F.conv2d(x, *self.last))
