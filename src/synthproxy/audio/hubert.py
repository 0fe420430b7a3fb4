"""HuBERT (Hsu et al. 2021), trained on speech, and MERT (Li et al. 2024), the same network trained on music.

Frames are the hidden states of the last layer, one per 320 samples. A clip is given zero mean and unit variance, as
the processors published with the weights do; the first layer normalises too, so this moves very soft sounds only.

MERT comes with code of its own, which is not run. Its constant-Q features and deep normalisation are switched off in
both published networks, and the relaxed attention of the larger one is a softmax with a constant taken off first,
which changes nothing: what is left is HuBERT, layer by layer and name by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from transformers import HubertConfig, HubertModel

from synthproxy.audio.published import Hearing

LEAST_VARIANCE: Final = 1e-7


def hubert(configuration: Mapping[str, Any]) -> Hearing:
    """A network of this configuration (``transformers.HubertConfig``), without the mask that only training needs."""
    config = HubertConfig(**configuration, mask_time_prob=0.0)
    with torch.device("meta"):
        network = HubertModel(config)

    def hear(audio: Tensor) -> Tensor:
        states: Tensor = network(standardised(audio)).last_hidden_state
        return states

    return Hearing(network, hear, shortest=_samples_of_one_frame(config))


def standardised(audio: Tensor) -> Tensor:
    """(clips, samples) with zero mean and unit variance over each clip."""
    variance, mean = torch.var_mean(audio, dim=1, correction=0, keepdim=True)
    return (audio - mean) / (variance + LEAST_VARIANCE).sqrt()


def _samples_of_one_frame(config: HubertConfig) -> int:
    samples = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
