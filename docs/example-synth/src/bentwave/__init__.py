"""A synthesizer by phase distortion, as an example of how another package adds a synth to synthproxy."""

from .synth import Bentwave

__all__ = ["Bentwave"]
