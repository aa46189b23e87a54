"""An nvidia-smi on PATH that says what a test wants it to say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LISTING = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-aaaa0000-1111-2222-3333-444455556666)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-bbbb0000-1111-2222-3333-444455556666)
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-cccc0000-1111-2222-3333-444455556666)
"""
UUIDS = tuple(f"GPU-{letter * 4}0000-1111-2222-3333-444455556666" for letter in "abc")
WITH_PARTS = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa0000-1111-2222-3333-444455556666)
  MIG 3g.20gb     Device  0: (UUID: MIG-11110000-1111-2222-3333-444455556666)
  MIG 3g.20gb     Device  1: (UUID: MIG-22220000-1111-2222-3333-444455556666)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb0000-1111-2222-3333-444455556666)
"""
MIGS = tuple(f"MIG-{digit * 4}0000-1111-2222-3333-444455556666" for digit in "12")


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, listing: str = LISTING, fails: str = "") -> Path:
    """Put it on PATH; return the file of what it says of processes, a line of CSV for each."""
    folder.mkdir(exist_ok=True)
    (folder / "listing").write_text(listing, "ascii")
    processes = folder / "processes"
    processes.touch()
    script = folder / "nvidia-smi"
    answer = f'case "$1" in -L) cat {folder}/listing;; --query-compute-apps=*) cat {processes};; esac'
    script.write_text(f"#!/bin/sh\n{fails or answer}\n", "ascii")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return processes
