"""What the figures were measured on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

import torch


def describe_machine() -> str:
    """Processor, cores, PyTorch, commit and date in one line."""
    cpu = platform.processor() or "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return f"{cpu}, {os.cpu_count()} cores, PyTorch {torch.__version__}, commit {commit or 'unknown'}, {date}."
