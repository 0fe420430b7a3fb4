"""What stands in for a synth: networks that map presets to embeddings, their training and their scores.

This file imports no torch. Where things are: architectures by name in :mod:`~synthproxy.proxies.zoo`, soft presets in
:mod:`~synthproxy.proxies.tokens`, recipes in :mod:`~synthproxy.proxies.recipe`, and the functions
:func:`~synthproxy.proxies.training.train`,
:func:`~synthproxy.proxies.evaluation.evaluate`, and :func:`~synthproxy.proxies.checkpoint.load_checkpoint`.
"""

from synthproxy.proxies.examples import Examples, Setting
from synthproxy.proxies.zoo import count_parameters, make_proxy, proxy_names

__all__ = ["Examples", "Setting", "count_parameters", "make_proxy", "proxy_names"]
