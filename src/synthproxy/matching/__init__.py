"""From a sound to presets, in stages: :mod:`~synthproxy.matching.match` leads through them.

:mod:`~synthproxy.matching.retrieval`, :mod:`~synthproxy.matching.proxy_bank` and
:mod:`~synthproxy.matching.proposers` tell where to begin, :mod:`~synthproxy.matching.search` and
:mod:`~synthproxy.matching.refine` go on with the synth itself, and :mod:`~synthproxy.matching.distances` tells how near
they have come. :mod:`~synthproxy.matching.estimators` is the published way, one preset at one look.
"""
