"""What hears: audio files, spectral features and the frozen audio models that turn sound into embeddings.

Nothing here knows of synths, presets or proxies. :mod:`~synthproxy.audio.io` and :mod:`~synthproxy.audio.registry`
answer without importing torch.
"""
