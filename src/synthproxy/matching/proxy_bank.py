"""Looking through very many presets with a proxy, without rendering one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from synthproxy.matching.candidates import Candidate
from synthproxy.matching.retrieval import embed_sounds, in_space, nearest_by_embedding
from synthproxy.matching.search import draw_presets
from synthproxy.matching.target import Target
from synthproxy.proxies.checkpoint import load_checkpoint
from synthproxy.proxies.examples import Setting
from synthproxy.proxies.proxy import Proxy
from synthproxy.synths import Synth
from synthproxy.synths.space import Floats


@dataclass(frozen=True, eq=False)
class ProxyBank:
    """A proxy as an endless bank: presets are made up, and heard through the proxy.

    Args:
        proxy: trained proxy.
        setting: what it stands in for.
        presets: how many presets it is asked about per target.
    """

    proxy: Proxy
    setting: Setting
    presets: int = 8192

    @classmethod
    def load(cls, checkpoint: Path) -> Self:
        """The proxy of a checkpoint file."""
        proxy, info = load_checkpoint(checkpoint)
        return cls(proxy, info.setting)

    def propose(
        self,
        synth: Synth,
        target: Target,
        known: Sequence[Floats],
        count: int,
        generator: np.random.Generator,
    ) -> list[Candidate]:
        """The presets that the proxy believes to be nearest to the target.

        Args:
            known: good presets of ``synth``; half of those asked about are crossings of them, the rest are drawn.
            count: presets returned.

        Raises:
            IncompatibleError: the proxy is of another synth, or of an audio model with other weights.
        """
        space = self.setting.space
        asked = draw_presets(space, self.presets, generator)
        if len(known):
            parents = in_space(np.stack(known), synth.space, space)
            half = self.presets // 2
            first, second = (parents[generator.integers(len(parents), size=half)] for _ in range(2))
            asked[:half] = np.where(generator.random((half, space.size)) < 0.5, first, second)
        queries = embed_sounds(
            target,
            self.setting.audio_model,
            self.setting.audio_model_identity,
            self.setting.note,
            self.setting.seconds,
        )
        vectors = in_space(asked, space, synth.space)
        return nearest_by_embedding(vectors, self.proxy.embed(asked), queries, target, count, "proxy")
