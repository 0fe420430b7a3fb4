"""What an estimator is trained to minimise: the error of its parameters, and that of the sound as a proxy hears it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.matching.estimators.decoding import Decoder, Decoding, require_width
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.tokens import SoftLayout
from synthproxy.synths.space import Kind, PresetSpace

CATEGORICAL_WEIGHT = 0.01
LABEL_SMOOTHING = 0.02


@dataclass(frozen=True)
class ParameterTerms:
    """The terms of a parameter loss, each a scalar; 0 where the space has no parameter of the kind."""

    numerical: Tensor
    binary: Tensor
    categorical: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum: what is minimised."""
        return self.numerical + self.binary + self.categorical


class ParameterLoss(nn.Module):
    """The published parameter loss: how far an estimator's outputs are from presets.

    Numerical parameters: absolute error of the sigmoid, mean over parameters and batch. Binary ones: binary
    cross-entropy, mean over both. Categorical ones: cross-entropy with label smoothing, mean over the batch, *sum* over
    parameters, times a weight.

    Args:
        space: the preset space.
        categorical_weight: of the sum of cross-entropies.
        label_smoothing: share of a target's probability that is spread over all categories; published are 0.02 for
            Dexed and 0.01 for Diva.
    """

    def __init__(
        self,
        space: PresetSpace,
        *,
        categorical_weight: float = CATEGORICAL_WEIGHT,
        label_smoothing: float = LABEL_SMOOTHING,
    ) -> None:
        super().__init__()
        self.categorical_weight, self.label_smoothing = categorical_weight, label_smoothing
        self.layout = SoftLayout.of(space)
        kinds = {column: space.free[column].kind for column in self.layout.plain}
        self.columns = {kind: [c for c in kinds if kinds[c] is kind] for kind in (Kind.NUMERICAL, Kind.BINARY)}
        places = {column: place for place, column in enumerate(self.layout.plain)}
        self.places = {kind: [places[c] for c in columns] for kind, columns in self.columns.items()}

    def forward(self, outputs: Tensor, presets: Tensor) -> ParameterTerms:
        """The terms of the loss.

        Args:
            outputs: of the estimator, (batch, one_hot_width).
            presets: hard presets, float32, (batch, free), on the same device.

        Raises:
            InvalidInputError: the outputs have another width.
        """
        require_width(outputs, self.layout)
        nothing = outputs.new_zeros(())
        numerical = binary = nothing
        if columns := self.columns[Kind.NUMERICAL]:
            numerical = F.l1_loss(outputs[:, self.places[Kind.NUMERICAL]].sigmoid(), presets[:, columns])
        if columns := self.columns[Kind.BINARY]:
            logits = outputs[:, self.places[Kind.BINARY]]
            binary = F.binary_cross_entropy_with_logits(logits, presets[:, columns])
        entropies = [
            F.cross_entropy(outputs[:, columns], presets[:, column].long(), label_smoothing=self.label_smoothing)
            for column, columns in zip(self.layout.categorical, self.layout.categories, strict=True)
        ]
        return ParameterTerms(numerical, binary, self.categorical_weight * sum(entropies, nothing))


class PerceptualLoss(nn.Module):
    """Mean absolute difference between the embedding that a proxy gives predicted presets, and that of the target.

    A copy of the proxy's network is kept, frozen and in evaluation mode whatever mode this module is in.

    Args:
        proxy: a trained proxy.
        decoding: how outputs become what the proxy is asked about; by default as published, which gives no gradient to
            the outputs for categorical and binary parameters.
    """

    def __init__(self, proxy: Proxy, decoding: Decoding | None = None) -> None:
        super().__init__()
        self.network = copy.deepcopy(proxy.network).requires_grad_(False)
        self.decoder = Decoder(proxy.space, decoding)
        self.train(self.training)

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Set the mode of this module; that of the proxy's network stays."""
        super().train(mode)
        self.network.eval()
        for module in self.network.modules():
            if isinstance(module, nn.RNNBase):
                # cuDNN has no backward pass in evaluation mode. Without dropout both modes compute the same.
                module.train()
        return self

    def forward(self, outputs: Tensor, embeddings: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The loss, a scalar.

        Args:
            outputs: of the estimator, (batch, one_hot_width).
            embeddings: of the target sounds, by the proxy's audio model, (batch, dimension).
            generator: what the decoding draws with, if it does.
        """
        return F.l1_loss(self.network(self.decoder(outputs, generator)), embeddings)
