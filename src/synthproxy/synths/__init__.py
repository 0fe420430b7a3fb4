"""What makes sound: parameters and preset spaces, and the synths that turn a preset and a note into audio.

Nothing here knows of audio models, corpora or networks.
"""

from synthproxy.synths.base import NamedPreset, Note, Synth
from synthproxy.synths.registry import describe_synths, get_synth, synth_names
from synthproxy.synths.space import Kind, Parameter, PresetSpace

__all__ = [
    "Kind",
    "NamedPreset",
    "Note",
    "Parameter",
    "PresetSpace",
    "Synth",
    "describe_synths",
    "get_synth",
    "synth_names",
]
