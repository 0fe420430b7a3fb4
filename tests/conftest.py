"""Fixtures that several rooms' tests share."""

import os
from pathlib import Path

import pytest

SHARED_VARIABLE = "SYNTHPROXY_SHARED"


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Folder with real weights, reference values and sounds that are too large for the repository.

    ``$SYNTHPROXY_SHARED``, or ``../shared`` beside the checkout; without either the test is skipped.
    """
    named = os.environ.get(SHARED_VARIABLE)
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip(f"no shared folder at {folder}: set {SHARED_VARIABLE} to the folder that holds weights/ and data/")
    return folder
