"""What the tests of this room share."""

import pytest
import torch

from synthproxy.synths import Kind, Parameter, PresetSpace


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mixed_space() -> PresetSpace:
    """All kinds of parameters: continuous, with a grid, in an interval, both; switches and categories."""
    return PresetSpace(
        "mixed",
        (
            Parameter("shape", Kind.CATEGORICAL, labels=("sine", "saw", "noise")),
            Parameter("level"),
            Parameter("sync", Kind.BINARY),
            Parameter("coarse", values=(0.0, 0.25, 0.5, 1.0)),
            Parameter("held", default=0.5, held=True),
            Parameter("decay", low=0.2, high=0.6),
            Parameter("mode", Kind.CATEGORICAL, labels=("a", "b")),
            Parameter("octave", low=0.3, high=0.8, values=tuple(i / 10 for i in range(11))),
            Parameter("mute", Kind.BINARY),
        ),
    )
