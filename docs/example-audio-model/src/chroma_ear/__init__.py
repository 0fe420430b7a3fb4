"""An ear for pitch classes, as an example of how another package adds an audio model to synthproxy."""

from .model import chroma

__all__ = ["chroma"]
