"""A display for plug-ins that cannot do without one: the user's, or a virtual one (Xvfb) where there is none."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys

_SCREEN = "1280x1024x24"


def has_display() -> bool:
    """Whether windows can be opened here; only on Linux and its like that is a question."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))


@functools.cache
def virtual_display() -> str | None:
    """Start Xvfb, once, until this process ends: the name of its display, or None where it is not installed."""
    program = shutil.which("Xvfb")
    if program is None:
        return None
    read, write = os.pipe()
    process = subprocess.Popen(
        [program, "-displayfd", str(write), "-screen", "0", _SCREEN, "-nolisten", "tcp"],
        pass_fds=(write,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(process.kill)
    os.close(write)
    with os.fdopen(read) as answer:
        number = answer.readline().strip()
    return f":{number}" if number else None
