"""What dead processes left is cleared; what living ones have, and what is still looked for, stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ptbench_ray.folders import own_folder


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_folders_of_the_dead_are_cleared_unless_somebody_looks_for_them(tmp_path: Path) -> None:
    mine = Path(own_folder(str(tmp_path), "x", "run1"))
    assert str(os.getpid()) in mine.name
    pid = dead_pid()
    dead = tmp_path / mine.name.replace(str(os.getpid()), str(pid))
    dead.mkdir()
    (dead / "log").write_text("last words")
    other = tmp_path / f"y-{mine.name.split('-')[1]}-{pid}-run0"
    other.mkdir()
    second = Path(own_folder(str(tmp_path), "x", "run1"))
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, dead.name, other.name, second.name}
    third = Path(own_folder(str(tmp_path), "x", "run2"))
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, other.name, second.name, third.name}


def test_a_socket_fits_into_the_folder_of_our_own_ray() -> None:
    name = Path(own_folder("/tmp", "ptb-ray"))
    name.rmdir()
    longest = len(str(name)) + 7 - len(str(os.getpid())) + 4  # a longer number, /var/tmp
    session = len("/session_2026-11-22_16-01-35_752221_2858600/sockets/plasma_store.1")
    assert longest + session <= 107
