"""The perceptual loss alone finds the algorithm of a DX7, by gradient, with a proxy of the real engine.

The proxy knows nothing but the algorithm and the levels of the operators.
"""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthproxy.audio.registry import get_audio_model
from synthproxy.matching.estimators.decoding import Decoding
from synthproxy.matching.estimators.losses import PerceptualLoss
from synthproxy.proxies.proxy import Proxy
from synthproxy.proxies.tokens import SoftLayout, to_soft
from synthproxy.proxies.zoo import make_proxy
from synthproxy.synths import Kind, Note, PresetSpace, get_synth

SECONDS, NOTE = 0.25, Note(48, 100, 0.2)


@pytest.fixture(scope="module")
def algorithm_space() -> PresetSpace:
    """Dexed with plain envelopes and a ratio for each operator; free are the algorithm and the levels."""
    space = get_synth("dexed-paper").space
    free = ("algorithm", *(f"op{k}_output_level" for k in range(1, 7)))
    held = {}
    for operator, coarse in enumerate((1, 2, 3, 5, 7, 11), 1):
        held |= {f"op{operator}_eg_rate_{stage}": 0.6 for stage in range(1, 5)}
        held |= {f"op{operator}_eg_level_{stage}": float(stage < 4) for stage in range(1, 5)}
        held[f"op{operator}_f_coarse"] = coarse / 31
    return space.hold([p.name for p in space.free if p.name not in free], held)


def sounds_of(space: PresetSpace, presets: np.ndarray) -> torch.Tensor:
    """Embeddings of the presets' real sounds."""
    model, synth = get_audio_model("mel"), get_synth("dexed-paper").with_space(space)
    clips = [synth.render(preset, NOTE, SECONDS, model.sample_rate) for preset in presets]
    return model.embed(torch.from_numpy(np.stack(clips)))


def audible(space: PresetSpace, count: int) -> np.ndarray:
    presets = space.sample(np.random.default_rng(0), count)
    levels = space.columns(Kind.NUMERICAL)
    presets[:, levels] = 0.6 + 0.4 * presets[:, levels]
    return space.snap(presets)


@pytest.fixture(scope="module")
def algorithm_proxy(algorithm_space) -> Proxy:
    presets = audible(algorithm_space, 900)
    soft, embeddings = to_soft(algorithm_space, torch.from_numpy(presets)), sounds_of(algorithm_space, presets)
    torch.manual_seed(0)
    proxy = make_proxy("hn-oh", algorithm_space, embeddings.shape[1], width=128, blocks=2)
    steps = 500
    optimiser = torch.optim.AdamW(proxy.parameters(), lr=6e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, steps)
    for _ in range(steps):
        rows = torch.randint(0, len(soft), (128,))
        optimiser.zero_grad()
        (proxy(soft[rows]) - embeddings[rows]).abs().mean().backward()
        optimiser.step()
        rate.step()
    return proxy


RIGHT = 31  # Algorithm 32: all six operators are heard for themselves, so it sounds like no other.


@pytest.fixture(scope="module")
def wrong_starts(algorithm_space) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of every wrong algorithm: logits of the target's levels, logits of the algorithm, the target's embedding."""
    target = algorithm_space.snap(np.full((1, algorithm_space.size), 0.9))
    target[:, 0] = RIGHT
    levels = torch.from_numpy(target[:, algorithm_space.columns(Kind.NUMERICAL)]).logit()
    start = 2.0 * F.one_hot(torch.arange(RIGHT), 32)
    return levels.expand(RIGHT, -1), start, sounds_of(algorithm_space, target).expand(RIGHT, -1)


def descend(loss: PerceptualLoss, wrong: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Logits of algorithms, (cases, 32), after moving them alone down the gradient of the perceptual loss."""
    levels, start, embeddings = wrong
    logits = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        optimiser.zero_grad()
        (len(logits) * loss(torch.cat([levels, logits], dim=1), embeddings, generator)).backward()
        optimiser.step()
    return logits.detach()


@pytest.mark.parametrize("mode", ["soft", "straight-through", "gumbel"])
def test_category_gradient_reaches_the_algorithm(algorithm_proxy, wrong_starts, mode):
    found = descend(PerceptualLoss(algorithm_proxy, Decoding(gradient=mode)), wrong_starts)
    assert (found.argmax(dim=1) == RIGHT).float().mean() > 0.8  # A few starts may lie beside a local minimum.


def test_published_decoding_never_leaves_the_wrong_algorithm(algorithm_proxy, algorithm_space, wrong_starts):
    levels, start, embeddings = wrong_starts
    loss = PerceptualLoss(algorithm_proxy)
    assert torch.equal(descend(loss, wrong_starts), start)
    outputs = torch.cat([levels, start], dim=1).requires_grad_()
    loss(outputs, embeddings).backward()
    (columns,) = SoftLayout.of(algorithm_space).categories
    assert not outputs.grad[:, columns].any()
    assert outputs.grad[:, : columns.start].any()
