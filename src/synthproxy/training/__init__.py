"""How any network learns, whatever it maps to what: its run, which can be stopped and continued, and its folder.

:mod:`~synthproxy.training.run` is given a :class:`~synthproxy.training.task.Task`, which is a network with its loss and
its scores; proxies, estimators and proposers each have theirs.
"""
