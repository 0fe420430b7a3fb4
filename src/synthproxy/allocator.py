"""Keeping freed memory at hand: what glibc's allocator needs to be told when large arrays come and go."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_BLOCK = 1 << 30
_PAD = 1 << 26


def keep_large_blocks() -> bool:
    """Let blocks of up to 1 GiB come from the heap and stay there when freed, for the rest of the process.

    By default each spectrogram is mapped afresh and given back, and the kernel clears every page again: a third of the
    time of embedding. True where that could be changed; other C libraries are left alone.
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
