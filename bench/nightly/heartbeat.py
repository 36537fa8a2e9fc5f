"""The longest that another Python thread waits while a kernel computes for seconds, on a machine that does nothing else."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from fastconv import ops

SECONDS = 2.0  # that one call takes at least
ALLOWED = 0.050  # seconds between two beats


def run(scale: float) -> dict[str, Any]:
    """The best of some calls: the worst of them tells what other processes did."""
    images, filters = _long_convolution()
    gaps, lengths = [], []
    for _ in range(max(1, round(20 * scale))):
        gap, length = _longest_gap(images, filters)
        gaps.append(gap)
        lengths.append(length)
    best = min(gaps)
    return {
        "calls": len(gaps),
        "call_seconds": round(min(lengths), 2),
        "longest_gap_ms": round(1000 * best, 1),
        "worst_call_ms": round(1000 * max(gaps), 1),
        "found": [f"{1000 * best:.0f} ms between two beats"] if best > ALLOWED else [],
    }


def _long_convolution() -> tuple[np.ndarray, np.ndarray]:
    """Images and a filter whose convolution takes SECONDS: as many images as that needs."""
    image, filters = np.ones((1, 256, 256, 64), np.float32), np.ones((31, 31, 64, 64), np.float32)
    start = time.perf_counter()
    ops.conv2d(image, filters)
    count = 1 + int(SECONDS / (time.perf_counter() - start))
    return np.repeat(image, count, axis=0), filters


def _longest_gap(images: np.ndarray, filters: np.ndarray) -> tuple[float, float]:
    """Between two beats of a thread that sleeps a millisecond at a time, during one call; and the call's seconds."""
    beats: list[float] = []
    stop = threading.Event()

    def beat() -> None:
        while not stop.is_set():
            beats.append(time.perf_counter())
            time.sleep(0.001)

    heart = threading.Thread(target=beat)
    heart.start()
    start = time.perf_counter()
    ops.conv2d(images, filters)
    end = time.perf_counter()
    stop.set()
    heart.join()
    within = [start, *(b for b in beats if start < b < end), end]
    return float(np.diff(within).max()), end - start
