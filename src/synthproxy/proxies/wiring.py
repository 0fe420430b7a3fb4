"""Groups that a category of the preset wires to each other: the operators of a DX7, by its algorithm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synthproxy.proxies.tokens import SoftLayout
from synthproxy.synths.dx7_algorithms import ALGORITHMS, OPERATORS, wiring
from synthproxy.synths.space import PresetSpace

WIRED_GROUPS = tuple(f"operators.{number + 1}" for number in range(OPERATORS))
WAYS = 3
MARKS = 6


class Wires(nn.Module):
    """What an algorithm says of the operators; of a soft one, the mean by probability.

    Args:
        category: columns of the soft preset with the probabilities of the algorithms.
    """

    def __init__(self, category: slice) -> None:
        super().__init__()
        self.category = category
        graph = wiring()
        feeds, feedback, heard = (
            torch.tensor(flags, dtype=torch.float32) for flags in (graph.feeds, graph.feedback, graph.heard)
        )
        ways = [feeds, feeds.transpose(1, 2), feedback]
        # Heard, the share of what is heard, takes feedback, gives it, how many feed it, how many it feeds.
        share = heard / heard.sum(1, keepdim=True)
        marks = [heard, share, feedback.sum(2), feedback.sum(1), feeds.sum(2), feeds.sum(1)]
        self.ways: Tensor
        self.marks: Tensor
        self.register_buffer("ways", torch.stack(ways, dim=1), persistent=False)
        self.register_buffer("marks", torch.stack(marks, dim=2), persistent=False)

    @classmethod
    def of(cls, space: PresetSpace) -> Wires | None:
        """Those of a space with six operators and a free algorithm; others have none."""
        layout = SoftLayout.of(space)
        groups = {parameter.group for parameter in space.free}
        for column, columns in zip(layout.categorical, layout.categories, strict=True):
            is_algorithm = space.free[column].name == "algorithm" and columns.stop - columns.start == ALGORITHMS
            if is_algorithm and groups.issuperset(WIRED_GROUPS):
                return cls(columns)
        return None

    def forward(self, soft: Tensor) -> tuple[Tensor, Tensor]:
        """Ways and marks of soft presets (batch, one_hot_width).

        Returns:
            How far operator j feeds operator i, is fed by it, and reaches it by feedback, (batch, WAYS, i, j); and what
            place each operator has, by which it could not be told from another in the same place: (batch, i, MARKS).
        """
        algorithm = soft[:, self.category].to(self.ways.dtype)  # In mixed precision it is not that of the graph.
        return torch.tensordot(algorithm, self.ways, 1), torch.tensordot(algorithm, self.marks, 1)
