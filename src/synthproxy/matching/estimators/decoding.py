"""From an estimator's outputs to presets: soft ones, differentiable in a way that can be chosen, and hard ones.

Outputs are laid out as soft presets: a logit for each numerical and binary parameter, then one for each category. The
published decoding lets no gradient through a choice and asks the proxy about numerical values that no preset has; the
other modes mend the first, ``snap`` the second.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.proxies.tokens import SoftLayout, to_hard
from synthproxy.synths.space import Floats, Kind, PresetSpace
from synthproxy.training.options import STRICT

GradientMode = Literal["published", "soft", "straight-through", "gumbel"]


class Decoding(BaseModel):
    """How outputs become the soft presets that a proxy is asked about.

    Args:
        gradient: of choices, that is of categories and of binary values. ``published``: the likeliest, without a
            gradient. ``soft``: the probabilities themselves. ``straight-through``: the likeliest, with the gradient of
            the probabilities (Bengio et al. 2013). ``gumbel``: one drawn by the probabilities, with the gradient of a
            smooth draw (Jang et al. 2017).
        temperature: of ``gumbel``: the lower, the nearer its gradient to that of a choice, and the noisier.
        snap: bring numerical values into their intervals and onto their grids, with the gradient of not doing so.
    """

    model_config = STRICT
    gradient: GradientMode = "published"
    temperature: float = Field(default=1.0, gt=0)
    snap: bool = False


class Decoder(nn.Module):
    """Outputs (batch, one_hot_width) to soft presets (batch, one_hot_width).

    Args:
        space: the preset space.
        decoding: how; by default as published.
    """

    def __init__(self, space: PresetSpace, decoding: Decoding | None = None) -> None:
        super().__init__()
        self.decoding = decoding or Decoding()
        self.layout = SoftLayout.of(space)
        kinds = [space.free[column].kind for column in self.layout.plain]
        self.numerical = [place for place, kind in enumerate(kinds) if kind is Kind.NUMERICAL]
        self.binary = [place for place, kind in enumerate(kinds) if kind is Kind.BINARY]
        self.grids = Grids(space)

    def forward(self, outputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Soft presets of outputs; ``generator`` is what ``gumbel`` draws with, on the outputs' device.

        Raises:
            InvalidInputError: the outputs have another width.
        """
        require_width(outputs, self.layout)
        plain = outputs.new_empty(len(outputs), len(self.layout.plain))
        numbers = outputs[:, self.numerical].sigmoid()
        plain[:, self.numerical] = self.grids(numbers) if self.decoding.snap else numbers
        plain[:, self.binary] = self._switches(outputs[:, self.binary], generator)
        choices = [self._choice(outputs[:, columns], generator) for columns in self.layout.categories]
        return torch.cat([plain, *choices], dim=1)

    def _switches(self, logits: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.decoding.gradient == "gumbel":
            # The difference of two Gumbel variables, one for on and one for off, is logistic.
            noise = _gumbel(logits, generator) - _gumbel(logits, generator)
            logits = (logits + noise) / self.decoding.temperature
        probabilities = logits.sigmoid()
        return self._through(probabilities.round(), probabilities)

    def _choice(self, logits: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.decoding.gradient == "gumbel":
            logits = (logits + _gumbel(logits, generator)) / self.decoding.temperature
        probabilities = logits.softmax(dim=1)
        likeliest = F.one_hot(probabilities.argmax(dim=1), logits.shape[1]).to(probabilities)
        return self._through(likeliest, probabilities)

    def _through(self, hard: Tensor, soft: Tensor) -> Tensor:
        if self.decoding.gradient == "soft":
            return soft
        if self.decoding.gradient == "published":
            return hard.detach()
        return _straight_through(hard, soft)


class Grids(nn.Module):
    """Numerical values (batch, numerical) moved to the nearest that their parameters can take, as ``space.snap`` does.

    The gradient is that of the values as they came, so that one outside its interval can come back.
    """

    def __init__(self, space: PresetSpace) -> None:
        super().__init__()
        parameters = [space.free[column] for column in space.columns(Kind.NUMERICAL)]
        # What a grid value is snapped to is one that lies in the interval.
        grids = [np.unique(p.snap(np.asarray(p.values, dtype=np.float64))) for p in parameters]
        longest = max([len(grid) for grid in grids], default=0)
        values = np.zeros((len(grids), max(longest, 1)))
        middles = np.full((len(grids), max(longest - 1, 0)), np.inf)
        for row, grid in enumerate(grids):
            values[row, : len(grid)] = grid
            middles[row, : max(len(grid) - 1, 0)] = (grid[1:] + grid[:-1]) / 2
        self.low: Tensor
        self.high: Tensor
        self.values: Tensor
        self.middles: Tensor
        self.has_grid: Tensor
        bounds = np.asarray([(p.low, p.high) for p in parameters]).reshape(-1, 2)
        tables = {"low": bounds[:, 0], "high": bounds[:, 1], "values": values, "middles": middles}
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table.astype(np.float32)), persistent=False)
        self.register_buffer(
            "has_grid", torch.tensor([bool(len(g)) for g in grids], dtype=torch.bool), persistent=False
        )

    def forward(self, values: Tensor) -> Tensor:
        """See the class."""
        clipped = values.detach().clamp(self.low, self.high)
        nearest = torch.searchsorted(self.middles, clipped.T.contiguous())
        snapped = torch.where(self.has_grid, self.values.gather(1, nearest).T, clipped)
        return _straight_through(snapped, values)


def hard_presets(space: PresetSpace, outputs: Tensor) -> Floats:
    """The presets that outputs stand for: the likeliest categories, all values in their intervals and on their grids.

    Args:
        space: the preset space.
        outputs: (batch, one_hot_width), on any device.

    Returns:
        float32, (batch, free).

    Raises:
        InvalidInputError: the outputs have another width.
    """
    layout = SoftLayout.of(space)
    require_width(outputs, layout)
    with torch.no_grad():
        plain = len(layout.plain)
        # The likeliest category has the greatest logit.
        soft = torch.cat([outputs[:, :plain].sigmoid(), outputs[:, plain:]], dim=1)
        return space.snap(to_hard(space, soft.float()).cpu().numpy())


def require_width(outputs: Tensor, layout: SoftLayout) -> None:
    """Raise :class:`InvalidInputError` unless outputs are (batch, one_hot_width)."""
    if outputs.ndim != 2 or outputs.shape[1] != layout.width:
        raise InvalidInputError(
            f"outputs for this preset space are (batch, {layout.width}), got {tuple(outputs.shape)}: "
            "the estimator is of another space"
        )


def _straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The values of ``hard``, to the bit, with the gradient of ``soft``."""
    return hard.detach() + (soft - soft.detach())


def _gumbel(like: Tensor, generator: torch.Generator | None) -> Tensor:
    exponential = torch.empty_like(like).exponential_(generator=generator)
    return -exponential.log()
