"""The proxy itself: a network with the preset space it takes and the dimension of the embeddings it gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.layers import StandardisedOutput
from synthproxy.proxies.tokens import check_presets, to_soft
from synthproxy.synths.space import Floats, PresetSpace


class Proxy(nn.Module):
    """Maps presets of one synth to embeddings of one audio model.

    Args:
        name: registered name of the architecture.
        sizes: every size the architecture was built with.
        space: the preset space.
        dimension: values per embedding.
        network: soft presets (batch, one_hot_width) to (batch, dimension).
    """

    def __init__(
        self, name: str, sizes: Mapping[str, int], space: PresetSpace, dimension: int, network: nn.Module
    ) -> None:
        super().__init__()
        self.name = name
        self.sizes = MappingProxyType(dict(sizes))
        self.space = space
        self.dimension = dimension
        self.network = network

    def extra_repr(self) -> str:
        """What ``print`` shows beside the layers."""
        return f"{self.name!r}, {self.space.name!r}, dimension={self.dimension}"

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def forward(self, soft: Tensor) -> Tensor:
        """Embeddings (batch, dimension) of soft presets, float32, (batch, one_hot_width); differentiable in them."""
        embeddings: Tensor = self.network(soft)
        return embeddings

    def fit_output(self, embeddings: NDArray[np.float32]) -> None:
        """Tell the network where embeddings such as it is to learn lie, (n, dimension), if it wants to know that."""
        for module in self.modules():
            if isinstance(module, StandardisedOutput):
                module.fit(torch.from_numpy(embeddings))

    def embed(self, presets: Floats, batch_size: int = 512) -> NDArray[np.float32]:
        """Embeddings of hard presets, in evaluation mode and without gradients, a batch at a time.

        Args:
            presets: float32, (n, free).
            batch_size: presets per pass; bounds the memory.

        Returns:
            float32, (n, dimension).

        Raises:
            InvalidInputError: the array has another shape, or a category that does not exist.
        """
        if batch_size < 1:
            raise InvalidInputError(f"a batch holds at least one preset, got {batch_size}")
        check_presets(self.space, presets)
        embeddings = np.empty((len(presets), self.dimension), dtype=np.float32)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                for start in range(0, len(presets), batch_size):
                    chunk = np.ascontiguousarray(presets[start : start + batch_size], dtype=np.float32)
                    soft = to_soft(self.space, torch.from_numpy(chunk).to(self.device))
                    embeddings[start : start + batch_size] = self(soft).float().cpu().numpy()
        finally:
            self.train(was_training)
        return embeddings
