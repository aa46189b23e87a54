"""How far a training has come, kept in one file so that it can go on after an interruption."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

NAME = "fine_tune.pt"


@dataclass(slots=True)
class Keeper:
    """The one file of a training in its folder; without a folder nothing is kept."""

    folder: Path | None
    key: str
    """Says which training it is: what was kept of another one is not taken up."""
    notes: list[str] = field(default_factory=list)

    def read(self) -> dict[str, Any] | None:
        """Return what was kept last, or None; what is damaged or of another training is left, with a note."""
        if self.folder is None or not (path := self.folder / NAME).is_file():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            known = state["key"] == self.key
        except Exception as error:  # a file that is cut off fails in many ways
            self.notes.append(f"a damaged state of training was ignored ({type(error).__name__})")
            return None
        if not known:
            self.notes.append("a state of another training was ignored")
            return None
        return dict(state)

    def write(self, state: dict[str, Any]) -> None:
        """Keep a state in place of the one before: whole, or not at all."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / NAME
        partial = path.with_suffix(f".{os.getpid()}")
        try:
            with partial.open("wb") as file:
                torch.save({"key": self.key, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
