"""What leaves the machine: texts without its paths and without its secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE|AUTH", re.I)
"""How variables of the environment are named whose values are nobody else's business."""
_KNOWN = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16})\b"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic) +[A-Za-z0-9._~+/-]{8,}=*")
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
_PATH = re.compile(r"(?<![\w.\-/~+<>])/(?:[\w.@+~\-]+/)+[\w.@+~\-]*")
_SHORTEST = 8
"""Characters of a value from which on it is looked for: shorter ones stand in texts by chance."""


class Scrubber:
    """Takes paths and secrets out of texts."""

    def __init__(
        self, folders: Mapping[str, Path | None], environment: Mapping[str, str] | None = None
    ) -> None:
        """``folders``: what stands for a path that begins with one of them; "" makes it relative to it."""
        environment = os.environ if environment is None else environment
        named = {str(path): name for name, path in folders.items() if path is not None}
        self._folders = sorted(named.items(), key=lambda pair: -len(pair[0]))  # the innermost first
        secrets = {
            value: name
            for name, value in environment.items()
            if SECRET.search(name) and len(value) >= _SHORTEST and not value.startswith("/")
        }
        self._scrubbed: dict[str, str] = {}
        self._secrets = sorted(secrets.items(), key=lambda pair: -len(pair[0]))

    def text(self, text: str) -> str:
        """Return a text in which no absolute path and no secret stands.

        Of a path outside the known folders its last part is left, as in ``…/weights.bin``.

        >>> Scrubber({"<run>": Path("/srv/s/r1")}, {}).text("wrote /srv/s/r1/a.csv, not /etc/ssl/b")
        'wrote <run>/a.csv, not …/b'
        >>> Scrubber({}, {"HF_TOKEN": "very-secret"}).text("https://me:pw@host/x/y?t=very-secret and/or 4")
        'https://host/x/y?t=<HF_TOKEN> and/or 4'
        """
        for value, name in self._secrets:
            text = text.replace(value, f"<{name}>")
        text = _LOGIN.sub("", _BEARER.sub(r"\1 <secret>", _KNOWN.sub("<secret>", text)))
        for folder, name in self._folders:
            start = rf"(?<![\w.\-/]){re.escape(folder.rstrip('/'))}"
            if name:
                text = re.sub(rf"{start}(?=/|(?![\w.\-]))", name.replace("\\", r"\\"), text)
            else:
                text = re.sub(rf"{start}/(?=[\w.])", "", text)
        return _PATH.sub(lambda found: f"…/{found[0].rstrip('/').rpartition('/')[2]}", text)

    def data(self, data: Any) -> Any:
        """Return JSON data with every text in it scrubbed, those of keys too."""
        match data:
            case str():
                if data not in self._scrubbed:  # most texts of a run stand in many of its records
                    self._scrubbed[data] = self.text(data)
                return self._scrubbed[data]
            case list():
                return [self.data(item) for item in data]
            case dict():
                return {self.data(key): self.data(value) for key, value in data.items()}
        return data
