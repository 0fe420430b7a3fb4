"""What is learned from: stored presets with their embeddings, drawn from a preset space or made by people."""

from synthproxy.corpus.bank import Bank, make_bank
from synthproxy.corpus.generate import GenerationResult, generate
from synthproxy.corpus.handcrafted import import_presets
from synthproxy.corpus.rendering import Rendering, render_clip
from synthproxy.corpus.store import Corpus, CorpusInfo, merge_corpora

__all__ = [
    "Bank",
    "Corpus",
    "CorpusInfo",
    "GenerationResult",
    "Rendering",
    "generate",
    "import_presets",
    "make_bank",
    "merge_corpora",
    "render_clip",
]
