"""Names of metrics as MLflow takes them, and back.

MLflow allows letters, digits, ``_ - . : /`` and spaces, 250 of them, and takes ``/`` for a folder. Here a
character that is not a plain letter, digit, ``_``, ``-``, ``.`` or space, or a dot at the start, is written
as its code point in hexadecimal digits between colons: ``recall@5`` is ``recall:40:5``. So ``/`` is free to
set an interval apart: ``accuracy/ci_low``. A name that is too long ends with ``::`` and a digest; the tag
``ptbench.metric.<key>`` of the run has it whole.
"""

from __future__ import annotations

import hashlib
import re

MAX_KEY = 200
"""Characters; the names of the ends of an interval come behind it."""
_BOUND = re.compile(r"^\.|[^A-Za-z0-9_.\- ]")
"""A dot at the start could lead out of a folder."""
_CODE = re.compile(r":([0-9a-f]+):")


def key_of(name: str) -> str:
    """Return a name as a key that every store of MLflow takes.

    >>> key_of("top5_accuracy"), key_of("recall@5"), key_of("a/b"), key_of(".."), key_of("")
    ('top5_accuracy', 'recall:40:5', 'a:2f:b', ':2e:.', '::')
    """
    key = _BOUND.sub(lambda found: f":{ord(found[0]):x}:", name) or "::"
    if len(key) <= MAX_KEY:
        return key
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{key[: MAX_KEY - 18]}::{digest}"


def name_of(key: str) -> str | None:
    """Return the name that a key stands for; None for one that is not whole.

    >>> name_of("recall:40:5"), name_of(":2e:."), name_of("::")
    ('recall@5', '..', '')
    """
    if key == "::":
        return ""
    if len(key) == MAX_KEY and re.search(r"::[0-9a-f]{16}$", key):
        return None
    return _CODE.sub(lambda found: chr(int(found[1], 16)), key)
