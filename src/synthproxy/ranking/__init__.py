"""Which audio model hears like people: sounds whose order everybody hears, and models asked for that order.

An attribute of a sound, such as its attack or its brightness, is moved step by step on presets that people made; a
model whose embeddings keep the steps in order ranks high.
"""

from synthproxy.ranking.attributes import Attribute, attributes_of, read_attributes, synths_with_attributes
from synthproxy.ranking.results import AttributeScore, JudgedAttribute, ModelScore, Ranking
from synthproxy.ranking.run import rank_audio_models

__all__ = [
    "Attribute",
    "AttributeScore",
    "JudgedAttribute",
    "ModelScore",
    "Ranking",
    "attributes_of",
    "rank_audio_models",
    "read_attributes",
    "synths_with_attributes",
]
