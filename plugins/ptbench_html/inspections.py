"""Looks inside of models: the pictures that lie in the folder of the run, within the page."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptbench_html.markup import Html, clean, el, esc, join, listed, name

MOST_BYTES = 2_000_000
"""Bytes of pictures in one page."""
PNG = b"\x89PNG\r\n\x1a\n"
WORDS = {
    "gradients": "Gradients by layer, from input to output; layers that vanish or explode are marked",
    "weights": "Distribution, size and effective rank of the weights by layer, from input to output",
    "activations": "Distribution of activations, zeros and dead units by layer, from input to output",
    "cka": "How alike the layers are (linear CKA), every layer with every layer",
}


def inspections(folder: Path) -> Html:
    """Return the inspections of a run with their pictures; "" where there are none."""
    parts, room, left = [], MOST_BYTES, 0
    root = folder.resolve()
    for path in sorted((folder / "inspect").glob("*/inspection.json")):
        about = _about(path)
        pictures = []
        for picture in sorted(path.parent.glob("*.png")):
            if not picture.resolve().is_relative_to(root):
                continue
            if picture.stat().st_size > room:
                left += 1
                continue
            data = picture.read_bytes()
            if data.startswith(PNG):
                room -= len(data)
                pictures.append(_picture(data, picture.stem, str(about.get("title", ""))))
        parts.append(_inspection(about, pictures))
    if left:
        words = f"{left} pictures are left out, so that this page stays small; they lie in the run's folder."
        parts.append(el("p", words, class_="note"))
    return join(parts)


def _inspection(about: Mapping[str, Any], pictures: list[Html]) -> Html:
    title = el("h3", name(about.get("title", "a look inside")))
    parts: list[object] = [title]
    if about.get("status", "ok") != "ok":
        error = clean(about.get("error", ""))
        parts.append(
            el("p", el("span", about["status"], class_="chip bad"), " ", name(error), class_="reason")
        )
    notes = about.get("notes")
    if isinstance(notes, list) and notes:
        parts.append(el("ul", *(el("li", name(note)) for note in notes)))
    files = about.get("files")
    if not pictures and isinstance(files, list) and files:
        tables = listed((el("code", file) for file in files), 6)
        parts.append(el("p", "No pictures were drawn (the reporter ", el("code", "inspection"),
                        " draws them); the tables are ", tables, ".", class_="note"))  # fmt: skip
    parts.append(join(pictures))
    return join(parts)


def _picture(data: bytes, kind: str, title: str) -> Html:
    words = WORDS.get(kind, kind)
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    width, height = struct.unpack(">II", data[16:24]) if len(data) >= 24 else (0, 0)
    room = f' width="{width}" height="{height}"' if width and height else ""  # kept before it is loaded
    image = f'<img src="{source}" alt="{esc(f"{words}: {title}")}"{room} loading="lazy" decoding="async">'
    return el("figure", Html(image), el("figcaption", words))


def _about(path: Path) -> Mapping[str, Any]:
    try:
        about = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {"title": path.parent.name, "status": "unreadable"}
    return about if isinstance(about, dict) else {}
