"""Settings for work whose parallelism is threads of ours, each calling PyTorch by itself."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_BLOCK = 1 << 30
_PAD = 1 << 26


@contextmanager
def independent_workers() -> Iterator[None]:
    """One PyTorch thread per calling thread inside the block.

    That is fastest when every core has a worker, and makes results independent of the number of cores.
    """
    import torch

    keep_large_blocks()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_large_blocks() -> bool:
    """Let blocks of up to 1 GiB come from the heap and stay there when freed, for the rest of the process.

    By default glibc maps each spectrogram afresh and gives it back, and the kernel clears every page again, which can
    take a third of the time of embedding. True where that could be changed; other C libraries are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        mallopt(option, value)
        for option, value in (
            (_M_MMAP_THRESHOLD, _LARGEST_BLOCK),
            (_M_TRIM_THRESHOLD, _LARGEST_BLOCK),
            (_M_TOP_PAD, _PAD),
        )
    )
