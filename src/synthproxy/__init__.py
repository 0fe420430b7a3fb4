"""synthproxy: neural proxies for software synthesizers.

A *proxy* maps a synth's preset straight to the embedding that a pretrained audio model would give the preset's sound.
The rooms: :mod:`synthproxy.synths` makes sound, :mod:`synthproxy.audio` hears it, :mod:`synthproxy.corpus` stores
presets with their embeddings, :mod:`synthproxy.proxies` learns from them, :mod:`synthproxy.matching` finds presets for
a sound, :mod:`synthproxy.report` shows the results.
"""

__version__ = "0.1.0"
