"""The exceptions a caller can meet. Each message is one line: what is wrong, what was got, how to mend it.

::

    SynthProxyError
    ├── InvalidInputError    a file, value or recipe that the user gave cannot be used
    ├── UnavailableError     something optional is missing here: weights, a plug-in, a package
    ├── IncompatibleError    two things do not belong together: a corpus and a checkpoint of different synths
    └── FailedRenderError    a synth could not play one preset: it crashed, hung, or made no finite sound
"""


class SynthProxyError(Exception):
    """Base of every error this package raises on purpose; the command line turns it into one line and exit code 2."""


class InvalidInputError(SynthProxyError):
    """A file, value or recipe that cannot be used as given."""


class UnavailableError(SynthProxyError):
    """Something needed is not on this machine; the message says how to get it."""


class IncompatibleError(SynthProxyError):
    """Two things that were given do not fit each other."""


class FailedRenderError(SynthProxyError):
    """One preset could not be played; others can."""
