"""A process of its own at a cache, for `tests/test_cache.py`: python cache_worker.py WORK FOLDER SEED.

Tells in one line of JSON what it saw.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ptbench.cache import GIB, Cache

KEYS = tuple(letter * 64 for letter in "abcdef")


def hammer(root: Path, seed: int) -> dict[str, Any]:
    """Write, read, prune and remove the same few keys; tell what was wrong."""
    draw = np.random.default_rng(seed)
    warned: list[str] = []
    wrong, hits = 0, 0
    for turn in range(120):
        cache = Cache(root, 60_000, warned.append)  # a new one, so that everything is checked again
        key = KEYS[draw.integers(len(KEYS))]
        stored = cache.get("features", key)
        if stored is None:
            value = np.full((100, 50), seed * 1000 + turn, dtype=np.float32)
            cache.put("features", key, {"rows": value, "places": value[0]}, {"value": float(value[0, 0])})
        else:
            hits += 1
            values = {*np.unique(stored.arrays["rows"]), *np.unique(stored.arrays["places"])}
            wrong += values != {stored.about["value"]}
        if turn % 10 == seed % 10:
            cache.prune(max_bytes=25_000)
        if turn % 25 == 0:
            for entry in cache.entries():
                cache.remove(entry)
    return {"wrong": wrong, "hits": hits, "warned": warned}


def fill(root: Path, seed: int) -> dict[str, Any]:
    """Put what fits on the disk, and what does not."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    warned: list[str] = []
    cache = Cache(root, GIB, warned.append)
    small = cache.put("features", KEYS[1], {"rows": np.zeros(3)}, {})
    large = cache.put("features", KEYS[0], {"rows": np.zeros(10**6)}, {})
    return {"small": small, "large": large, "warned": warned}


def hold(root: Path, seed: int) -> dict[str, Any]:
    """Hold a training until killed."""
    folder = Cache(root, GIB).scratch(KEYS[0])
    assert folder is not None
    folder.mkdir()
    (folder / "state").write_text("epoch 3")
    print(json.dumps(str(folder)), flush=True)
    time.sleep(120)
    return {}


if __name__ == "__main__":
    work = {"hammer": hammer, "fill": fill, "hold": hold}[sys.argv[1]]
    print(json.dumps(work(Path(sys.argv[2]), int(sys.argv[3]))))
