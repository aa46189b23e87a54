"""How far a training has come, kept in one file so that it can go on after an interruption."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

STATES = "fine_tune-*.pt"


@dataclass(slots=True)
class Keeper:
    """The state of a training in its folder; without a folder, or on a full disk, nothing is kept.

    The name of the file holds the digest of what is in it, so that a damaged one is never taken up.
    """

    folder: Path | None
    key: str
    """Says which training it is: what was kept of another one is not taken up."""
    notes: list[str] = field(default_factory=list)

    def read(self) -> dict[str, Any] | None:
        """Return what was kept last, or None; what is damaged or of another training is left, with a note."""
        if self.folder is None:
            return None
        try:
            paths = sorted(self.folder.glob(STATES), key=lambda path: path.stat().st_mtime_ns)
            if not paths:
                return None
            if paths[-1].name != _name(paths[-1]):
                raise ValueError("its digest is another")
            state = torch.load(paths[-1], map_location="cpu", weights_only=True)
            known = state["key"] == self.key
        except Exception as error:  # a file that is cut off fails in many ways
            self.notes.append(f"a damaged state of training was ignored ({type(error).__name__})")
            return None
        if not known:
            self.notes.append("a state of another training was ignored")
            return None
        return dict(state)

    def write(self, state: dict[str, Any]) -> None:
        """Keep a state in place of those before: whole, or not at all."""
        if self.folder is None:
            return
        partial = self.folder / f"part-{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save({"key": self.key, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            before = list(self.folder.glob(STATES))
            kept = partial.replace(self.folder / _name(partial))
            for path in before:
                if path != kept:
                    path.unlink()
        except (OSError, RuntimeError) as error:  # torch says RuntimeError where a disk is full
            self.folder = None
            why = error.strerror if isinstance(error, OSError) else "the disk may be full"
            self.notes.append(f"the state of training could not be kept ({why}): it cannot be taken up again")
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _name(path: Path) -> str:
    with path.open("rb") as file:
        return STATES.replace("*", hashlib.file_digest(file, "sha256").hexdigest()[:32])
