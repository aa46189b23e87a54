"""Images decoded ahead of the model, by threads: PIL works without Python's lock."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench_torch.batching import Index
from ptbench_torch.images import read_image
from ptbench_vision.preprocessing import Preprocessing

AHEAD = 2
"""Batches that are decoded while the model computes: memory does not grow with the number of images."""
MAX_THREADS = 16


class Decoder:
    """From image cells to batches of pixels, uint8[n, height, width, 3]."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self.enlarged = 0
        self._lock = threading.Lock()

    def batches(self, cells: Sequence[Any], batches: Sequence[Index]) -> Iterator[NDArray[np.uint8]]:
        """Yield the pixels of each batch, in order. Raises `DataError` where an image cannot be read."""
        threads = min(MAX_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        waiting: deque[tuple[NDArray[np.uint8], list[Future[None]]]] = deque()
        upcoming = iter(batches)

        def start() -> None:
            rows = next(upcoming, None)
            if rows is None:
                return
            pixels = np.empty((len(rows), *self.preprocessing.size, 3), dtype=np.uint8)
            futures = [pool.submit(self._decode, cells[row], pixels[i]) for i, row in enumerate(rows)]
            waiting.append((pixels, futures))

        try:
            for _ in range(1 + AHEAD):
                start()
            while waiting:
                pixels, futures = waiting.popleft()
                for future in futures:
                    future.result()
                start()
                yield pixels
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, cell: Any, out: NDArray[np.uint8]) -> None:
        image = read_image(cell)
        if min(image.size) < self.preprocessing.shorter:
            with self._lock:
                self.enlarged += 1
        out[...] = np.asarray(self.preprocessing.geometry(image))
