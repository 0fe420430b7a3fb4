"""Safetensors files that say what they are: named tensors beside a description in JSON. Reading one runs no code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from synthproxy import __version__
from synthproxy.errors import InvalidInputError, SynthProxyError
from synthproxy.files import replace_file

FORMAT_VERSION = 1
METADATA_KEY = "synthproxy"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write named tensors and a description, plain data for JSON, into one safetensors file, whole or not at all."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    replace_file(path, save(ready, metadata={METADATA_KEY: json.dumps(about)}))


def read_tensors(path: Path, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote, if its description says that it is of this form.

    Raises:
        InvalidInputError: the file is missing, cut short, of another form or of a newer version.
    """
    with opened(path, form) as (file, about):
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118  it is no dictionary


@contextmanager
def opened(path: Path, form: str | None = None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The open file and its description, of any form if none is asked for; raises what :func:`read_tensors` raises."""
    if not path.is_file():
        raise InvalidInputError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            if form is not None:
                _require_form(path, about, form)
            yield file, about
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidInputError(f"{path}: not a whole safetensors file ({error})") from error


def _require_form(path: Path, about: Any, form: str) -> None:
    if not isinstance(about, dict) or about.get("format") != form:
        raise InvalidInputError(f"{path}: a safetensors file, but not one of the form {form!r} that synthproxy writes")
    if about.get("format_version") != FORMAT_VERSION:
        raise InvalidInputError(
            f"{path}: format version {about.get('format_version')}, but synthproxy {__version__} reads version "
            f"{FORMAT_VERSION}; use the version that wrote it ({about.get('version')})"
        )


def checkpoint_form(path: Path) -> str:
    """What kind of checkpoint a file is; empty for a safetensors file of another program.

    Raises:
        InvalidInputError: the file is missing, or no safetensors file.
    """
    with opened(path) as (_, about):
        return str(about.get("format", "")) if isinstance(about, dict) else ""


@contextmanager
def described(path: Path) -> Iterator[None]:
    """While a network is made from what its file says of it: whatever is wrong there ends in one line.

    Raises:
        InvalidInputError: description and tensors do not fit each other.
        SynthProxyError: of another kind, if something of this package refused, now naming the file.
    """
    try:
        yield
    except SynthProxyError as error:
        raise type(error)(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(map(str.strip, str(error).splitlines()[:2])) or type(error).__name__
        raise InvalidInputError(f"{path}: does not fit its own description ({reason})") from error
