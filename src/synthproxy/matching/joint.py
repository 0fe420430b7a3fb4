"""One space for presets and sounds: a preset lies where its sound does, so that either finds the other by angle.

Trained by contrast (Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021): of a
batch, every sound is to find its own preset, and every preset its own sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.layers import StandardisedInput
from synthproxy.proxies.tokens import check_presets, to_soft
from synthproxy.proxies.zoo import make_proxy
from synthproxy.synths.space import Floats, PresetSpace

FIRST_SCALE = 14.0
MOST_SCALE = 100.0
DROPOUT = 0.1
NOISE = 0.1
ROWS_AT_ONCE = 512


class SoundTower(nn.Module):
    """Embeddings of an audio model to unit vectors: (batch, inputs) to (batch, dimension).

    In training noise is added to the standardised inputs.

    Args:
        inputs: values per embedding: ``channels`` of one part of the clip after the other.
        channels: values per part.
        dimension: of the unit vectors.
        hidden: width of the network.
    """

    def __init__(self, inputs: int, channels: int, dimension: int, hidden: int) -> None:
        super().__init__()
        if inputs % channels:
            raise InvalidInputError(f"an embedding of {inputs} values has no parts of {channels} channels")
        self.channels = channels
        self.standardised = StandardisedInput(channels)
        layers: list[nn.Module] = []
        for before in (inputs, hidden):
            layers += [nn.Linear(before, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(DROPOUT)]
        self.network = nn.Sequential(*layers, nn.Linear(hidden, dimension))

    def forward(self, embeddings: Tensor) -> Tensor:
        """See the class."""
        standard = self.standardised(embeddings.view(len(embeddings), -1, self.channels)).flatten(1)
        if self.training:
            standard = standard + NOISE * torch.randn_like(standard)
        return F.normalize(self.network(standard), dim=1)


class JointEmbedding(nn.Module):
    """Presets and sounds as unit vectors of one space.

    Args:
        space: the preset space.
        inputs: values per embedding of the audio model that hears; one that keeps time (``mel@16``) tells more apart.
        channels: values of each part of the clip in it.
        dimension: of the common space.
        hidden: width of the network for sounds.
        preset_width, preset_feed_forward, preset_hidden: sizes of the network for presets, a ``gtf``.
    """

    def __init__(
        self,
        space: PresetSpace,
        inputs: int,
        channels: int,
        *,
        dimension: int = 256,
        hidden: int = 1024,
        preset_width: int = 160,
        preset_feed_forward: int = 384,
        preset_hidden: int = 256,
    ) -> None:
        super().__init__()
        self.space, self.dimension = space, dimension
        sizes = {"width": preset_width, "feed_forward": preset_feed_forward, "hidden": preset_hidden}
        self.presets = make_proxy("gtf", space, dimension, **sizes)
        self.sounds = SoundTower(inputs, channels, dimension, hidden)
        self.logarithm_of_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def fit_inputs(self, embeddings: Floats) -> None:
        """Tell the network where embeddings such as it is to learn from lie, (n, inputs)."""
        rows = torch.from_numpy(np.ascontiguousarray(embeddings)).reshape(-1, self.sounds.channels)
        self.sounds.standardised.fit(rows)

    def of_presets(self, soft: Tensor) -> Tensor:
        """Unit vectors (batch, dimension) of soft presets (batch, one_hot_width); differentiable in them."""
        return F.normalize(self.presets(soft), dim=1)

    def of_sounds(self, embeddings: Tensor) -> Tensor:
        """Unit vectors (batch, dimension) of embeddings (batch, inputs)."""
        vectors: Tensor = self.sounds(embeddings)
        return vectors

    def loss(self, soft: Tensor, embeddings: Tensor) -> Tensor:
        """Mean cross-entropy of finding the right partner in the batch, both ways."""
        scale = self.logarithm_of_scale.exp().clamp(max=MOST_SCALE)
        logits = scale * self.of_sounds(embeddings) @ self.of_presets(soft).T
        right = torch.arange(len(soft), device=soft.device)
        return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2

    def embed_presets(self, presets: Floats) -> Floats:
        """Unit vectors of hard presets, in evaluation mode: (n, free) to (n, dimension)."""
        check_presets(self.space, presets)
        return self._in_parts(presets, lambda part: self.of_presets(to_soft(self.space, part)))

    def embed_sounds(self, embeddings: Floats) -> Floats:
        """Unit vectors of an audio model's embeddings, in evaluation mode: (n, inputs) to (n, dimension)."""
        return self._in_parts(embeddings, self.of_sounds)

    def _in_parts(self, rows: Floats, embed: Callable[[Tensor], Tensor]) -> Floats:
        vectors = np.empty((len(rows), self.dimension), dtype=np.float32)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                for start in range(0, len(rows), ROWS_AT_ONCE):
                    part = torch.from_numpy(np.ascontiguousarray(rows[start : start + ROWS_AT_ONCE]))
                    vectors[start : start + ROWS_AT_ONCE] = embed(part).numpy()
        finally:
            self.train(was_training)
        return vectors
