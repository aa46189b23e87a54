"""Folders of processes that may die without a word: the next one clears what they left."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path


def own_folder(root: str, prefix: str, token: str = "") -> str:
    """Make a folder for this process, and remove those with the prefix whose processes are gone.

    Those with the same ``token`` stay: somebody still looks into them.
    """
    whose = hashlib.sha256(f"{os.getuid()}@{socket.gethostname()}".encode()).hexdigest()[:6]
    mine = f"{prefix}-{whose}-"  # short: the path of a socket has about a hundred characters
    for left in Path(root).glob(f"{mine}*"):
        pid, _, rest = left.name.removeprefix(mine).partition("-")
        if not (token and rest.startswith(token)) and pid.isdecimal() and _gone(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{mine}{os.getpid()}-{token}", dir=root)


def _gone(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    return False
