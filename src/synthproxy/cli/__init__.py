"""The command line: one thin command per use. Everything it does is a public function of the package.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from synthproxy.cli.program import app, main

__all__ = ["app", "main"]
