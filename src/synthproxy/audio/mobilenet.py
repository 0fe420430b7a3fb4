"""The network of EfficientAT: MobileNetV3-Large with one input channel (Howard et al. 2019; Schmid et al. 2023).

Modules carry the names that the published weight files use. The classifier is not built: embeddings need only the
feature layers.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.audio.sizes import make_divisible, scaled_channels

BATCH_NORM_EPSILON: Final = 1e-3
BATCH_NORM_MOMENTUM: Final = 0.01
TAPPED_BLOCKS: Final = (5, 11, 13, 15)
LAST_EXPANSION: Final = 6
SQUEEZE_RATIO: Final = 4


@dataclass(frozen=True)
class BlockSettings:
    """One row of the architecture table; channels at width 1."""

    input_channels: int
    kernel: int
    expanded_channels: int
    output_channels: int
    squeeze: bool
    activation: Literal["relu", "hardswish"]
    stride: int


BLOCKS: Final = (
    BlockSettings(16, 3, 16, 16, False, "relu", 1),
    BlockSettings(16, 3, 64, 24, False, "relu", 2),
    BlockSettings(24, 3, 72, 24, False, "relu", 1),
    BlockSettings(24, 5, 72, 40, True, "relu", 2),
    BlockSettings(40, 5, 120, 40, True, "relu", 1),
    BlockSettings(40, 5, 120, 40, True, "relu", 1),
    BlockSettings(40, 3, 240, 80, False, "hardswish", 2),
    BlockSettings(80, 3, 200, 80, False, "hardswish", 1),
    BlockSettings(80, 3, 184, 80, False, "hardswish", 1),
    BlockSettings(80, 3, 184, 80, False, "hardswish", 1),
    BlockSettings(80, 3, 480, 112, True, "hardswish", 1),
    BlockSettings(112, 3, 672, 112, True, "hardswish", 1),
    BlockSettings(112, 5, 672, 160, True, "hardswish", 2),
    BlockSettings(160, 5, 960, 160, True, "hardswish", 1),
    BlockSettings(160, 5, 960, 160, True, "hardswish", 1),
)


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch normalisation, and an activation unless ``activation`` is None."""

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Literal["relu", "hardswish"] | None,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(input_channels, output_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(output_channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
        ]
        if activation is not None:
            layers.append(nn.ReLU() if activation == "relu" else nn.Hardswish())
        super().__init__(*layers)
        self.activation = activation


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channel means (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = make_divisible(channels // SQUEEZE_RATIO)
        self.fc1 = nn.Linear(channels, squeezed)
        self.fc2 = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bands, frames) to the same shape."""
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * gate[:, :, None, None]


class ConcurrentSqueezeExcitation(nn.Module):
    """Upstream can run several gates side by side; the published networks have one, over channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([SqueezeExcitation(channels)])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bands, frames) to the same shape."""
        return self.conc_se_layers[0](x)  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """Expand, filter each channel on its own, gate, project; add the input where the shapes allow."""

    def __init__(self, settings: BlockSettings, width: float) -> None:
        super().__init__()
        inputs = scaled_channels(settings.input_channels, width)
        expanded = scaled_channels(settings.expanded_channels, width)
        outputs = scaled_channels(settings.output_channels, width)
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(ConvNorm(inputs, expanded, 1, activation=settings.activation))
        layers.append(
            ConvNorm(
                expanded,
                expanded,
                settings.kernel,
                stride=settings.stride,
                groups=expanded,
                activation=settings.activation,
            )
        )
        if settings.squeeze:
            layers.append(ConcurrentSqueezeExcitation(expanded))
        layers.append(ConvNorm(expanded, outputs, 1, activation=None))
        self.block = nn.Sequential(*layers)
        self.residual = settings.stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, bands, frames) to (batch, outputs, bands / stride, frames / stride), rounded up."""
        y: Tensor = self.block(x)
        return y + x if self.residual else y


class MobileNet(nn.Module):
    """Feature layers of one EfficientAT network.

    Args:
        width: multiplier of the channel counts in :data:`BLOCKS`.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        first = scaled_channels(BLOCKS[0].input_channels, width)
        last = scaled_channels(BLOCKS[-1].output_channels, width)
        self.features = nn.Sequential(
            ConvNorm(1, first, 3, stride=2, activation="hardswish"),
            *(InvertedResidual(settings, width) for settings in BLOCKS),
            ConvNorm(last, LAST_EXPANSION * last, 1, activation="hardswish"),
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """Channel averages of the outputs of blocks 5, 11, 13 and 15, joined.

        Args:
            log_mel: float32, (batch, bands, frames), normalised.

        Returns:
            (batch, dimension).
        """
        return torch.cat([output.mean(dim=(2, 3)) for output in self._tapped(log_mel)], dim=1)

    def over_time(self, log_mel: Tensor) -> Tensor:
        """The same averages over frequency only, at the pace of block 15, which sees 32 frames at a time.

        Returns:
            (batch, dimension, frames / 32), rounded up.
        """
        outputs = [output.mean(dim=2) for output in self._tapped(log_mel)]
        return torch.cat([F.adaptive_avg_pool1d(output, outputs[-1].shape[2]) for output in outputs], dim=1)

    def _tapped(self, log_mel: Tensor) -> Iterator[Tensor]:
        """Outputs of the tapped blocks; layers after the last say nothing about the embedding, so they do not run."""
        x = log_mel.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        for index, layer in enumerate(list(self.features)[: TAPPED_BLOCKS[-1] + 1]):
            x = layer(x)
            if index in TAPPED_BLOCKS:
                yield x


class FoldedConvolution(nn.Module):
    """A :class:`ConvNorm` for inference: the normalisation is multiplied into the weights, the activation is in place.

    On inputs of one or two frames most kernel columns of a wide kernel only ever meet the zero padding. They are cut
    off, which changes no sum and makes windows of 160 ms about four times faster.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, source: ConvNorm) -> None:
        super().__init__()
        convolution, norm = source[0], source[1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # In double precision, so that folding adds one rounding and no more.
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = (convolution.weight.detach().double() * scale[:, None, None, None]).float()
        bias = (norm.bias.detach().double() - norm.running_mean.double() * scale).float()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self.stride = int(convolution.stride[0])
        self.padding = int(weight.shape[2]) // 2
        self.groups = convolution.groups
        self.activation = source.activation

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, bands, frames), as the layer it replaces."""
        columns, padding = self.reached_columns(x.shape[3])
        y = F.conv2d(x, self.weight[..., columns], self.bias, self.stride, (self.padding, padding), groups=self.groups)
        if self.activation == "relu":
            return F.relu_(y)
        if self.activation == "hardswish":
            return F.hardswish(y, inplace=True)
        return y

    def reached_columns(self, frames: int) -> tuple[slice, int]:
        """Kernel columns that meet any of ``frames`` input columns, and the padding that is left for them."""
        kernel, stride, padding = self.weight.shape[3], self.stride, self.padding
        outputs = (frames + 2 * padding - kernel) // stride + 1
        first = max(0, padding - (outputs - 1) * stride)
        last = min(kernel - 1, frames - 1 + padding)
        left = padding - first
        right = (outputs - 1) * stride + (last - first + 1) - left - frames
        if left == right:
            return slice(first, last + 1), left
        return slice(0, kernel), padding


def fold_batch_norm(network: MobileNet) -> MobileNet:
    """A copy for inference with every :class:`ConvNorm` replaced by a :class:`FoldedConvolution`.

    Equal to ``network.eval()`` up to float rounding. The copy has no weights to train.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ConvNorm):
                setattr(parent, name, FoldedConvolution(child))
    return folded
