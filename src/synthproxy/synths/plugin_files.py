"""Where plug-ins are installed: the usual folders of each system, and those that the environment names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthproxy.errors import InvalidInputError, UnavailableError

_LV2_SCHEMES = ("http:", "https:", "urn:")
_VARIABLES = ("VST_PATH", "VST3_PATH")
_USUAL = {
    "linux": ("~/.vst", "~/.vst3", "/usr/local/lib/vst", "/usr/local/lib/vst3", "/usr/lib/vst", "/usr/lib/vst3"),
    "darwin": (
        *("~/Library/Audio/Plug-Ins/VST3", "~/Library/Audio/Plug-Ins/VST"),
        *("/Library/Audio/Plug-Ins/VST3", "/Library/Audio/Plug-Ins/VST"),
    ),
    "win32": (
        *("C:/Program Files/Common Files/VST3", "C:/Program Files/VSTPlugins"),
        *("C:/Program Files/Steinberg/VSTPlugins", "C:/Program Files/Common Files/VST2"),
    ),
}
_DEEPEST = 3  # Makers put their plug-ins into folders of their own.


def is_lv2(plugin: str) -> bool:
    """Whether this is the URI of an LV2 plug-in rather than a file."""
    return plugin.startswith(_LV2_SCHEMES)


def plugin_folders(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Folders that hold plug-ins, in the order they are searched: those of ``VST_PATH`` and ``VST3_PATH`` first."""
    environment = os.environ if environment is None else environment
    named = [part for variable in _VARIABLES for part in environment.get(variable, "").split(os.pathsep) if part]
    return [Path(folder).expanduser() for folder in (*named, *_USUAL.get(sys.platform, _USUAL["linux"]))]


def find_plugin(name: str, files: Sequence[str], folders: Sequence[Path] | None = None) -> str:
    """The plug-in of a definition: the first of its files that is there, else its LV2 URI.

    Args:
        name: of the synth, for the message.
        files: file names, absolute paths or LV2 URIs.

    Raises:
        UnavailableError: none is there.
    """
    searched = plugin_folders() if folders is None else folders
    for file in files:
        if is_lv2(file):
            continue
        if Path(file).is_absolute():
            if Path(file).exists():
                return file
            continue
        for folder in searched:
            for depth in range(_DEEPEST):
                found = next(iter(sorted(folder.glob("*/" * depth + file))), None)
                if found:
                    return str(found)
    uris = [file for file in files if is_lv2(file)]
    if uris:
        return uris[0]
    raise UnavailableError(
        f"{name}: no {files[0]} where plug-ins usually are; install it, or name its folder in VST_PATH or VST3_PATH"
    )


def given_plugin(plugin: str) -> str:
    """A plug-in that the user named: its absolute path, or its LV2 URI as it is.

    Raises:
        InvalidInputError: there is no such file.
    """
    if is_lv2(plugin):
        return plugin
    path = Path(plugin).expanduser()
    if not path.exists():
        raise InvalidInputError(f"{plugin}: there is no such plug-in; give a VST2 or VST3 file, or the URI of an LV2")
    return str(path.resolve())
