"""Files brought by their address: what was begun goes on, and nothing gets its name before it is checked.

While it comes a file is called ``NAME.part``. torch.hub's own download begins again from the start.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ptbench import ModelError

TIMEOUT = 20.0
"""Seconds to wait for an answer, and for more of it."""
PAUSES = (0.5, 1.0, 2.0)
"""Seconds to wait before it is tried again: the server is busy, or the connection broke off."""
CHUNK = 2**20

Tell = Callable[[int, int | None], None]
"""Told bytes so far, and bytes in all if that is known."""


def bring(
    url: str,
    path: Path,
    digest: str,
    tell: Tell = lambda done, total: None,
    algorithm: str = "sha256",
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Bring a file to a path, unless it is there, and return the path.

    Args:
        url: Its address.
        path: Where it is to lie.
        digest: What its digest begins with, in hexadecimal digits.
        tell: Whom to tell how far it has come.
        algorithm: The digest's algorithm, a name that `hashlib` knows.
        headers: For this address alone, not for one that it leads to.

    Raises:
        ModelError: It could not be brought, or is another file than the digest says. What came of it stays,
            and the next call goes on from there, unless the digest was wrong.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with _locked(part) as file:
            if path.is_file():
                part.unlink(missing_ok=True)
                return path
            _receive(url, file, path, tell, headers or {})
            os.fsync(file.fileno())
            found = _digest(part, algorithm)
            if not found.startswith(digest.lower()):
                part.unlink()
                raise ModelError(f"{url} has {algorithm} {found}, not {digest.lower()}: it was not kept")
            part.replace(path)
    except OSError as error:  # of the disk: those of the network were told before
        raise ModelError(
            f"{url} cannot be written to {part}: {error.strerror or error}; what has come stays there, and "
            "the next try goes on from it"
        ) from None
    return path


def _locked(part: Path) -> IO[bytes]:
    """Open a half file for ourselves alone; another process may be bringing it, or may have taken it away."""
    while True:
        file = part.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()


def _receive(url: str, file: IO[bytes], path: Path, tell: Tell, headers: Mapping[str, str]) -> None:
    """Append what is missing, trying again where that may help. Raises `ModelError`, `OSError` (disk)."""
    for pause in (*PAUSES, None):
        try:
            if _go_on(url, file, path, tell, headers):
                return
            reason = f"the connection broke off after {file.tell():,} bytes"
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"the server says {error.code} {error.reason}"
            if error.code < 500 and error.code != http.HTTPStatus.TOO_MANY_REQUESTS:
                break
        except _NetworkError as error:
            reason = str(error)
        if pause is not None:
            time.sleep(pause)
    if not file.tell():
        Path(file.name).unlink()
        raise ModelError(f"{url} could not be brought: {reason}")
    raise ModelError(
        f"{url} could not be brought: {reason}; what has come stays beside {path}, and the next try goes on "
        "from it"
    )


class _NetworkError(Exception):
    """The network failed, not the disk: both are `OSError`."""


def _go_on(url: str, file: IO[bytes], path: Path, tell: Tell, headers: Mapping[str, str]) -> bool:
    """Ask for the rest of a file and append it; return whether it is whole."""
    start = file.seek(0, 2)
    with _opened(url, start, headers) as answer:
        total = _total(answer, start)
        if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if total != start:  # there is more than the whole file
                file.truncate(0)
            return total == start
        if start and answer.status != http.HTTPStatus.PARTIAL_CONTENT:  # the server sends it from the start
            file.truncate(0)
            start = 0
        _check_space(path, start, total)
        done = start
        tell(done, total)
        while chunk := _read(answer):
            file.write(chunk)
            done += len(chunk)
            tell(done, total)
    file.flush()
    return total is None or done == total


def _opened(url: str, start: int, headers: Mapping[str, str]) -> Any:
    """Return the answer of the server; that the range is beyond the end of the file is an answer too."""
    ranged = {"Range": f"bytes={start}-"} if start else {}
    # the address stands in the suite or in a library
    request = urllib.request.Request(url, headers={"User-Agent": "ptbench", **ranged})  # noqa: S310
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(_brief(error)) from None


def _read(answer: Any) -> bytes:
    try:
        return bytes(answer.read(CHUNK))
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(_brief(error)) from None


def _total(answer: Any, start: int) -> int | None:
    """Return the bytes of the whole file, as the server says it."""
    ranged = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
    if ranged:
        return int(ranged[1])
    length = answer.headers.get("Content-Length", "")
    if not length.isdigit() or answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return None
    return int(length) + (start if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0)


def _check_space(path: Path, done: int, total: int | None) -> None:
    free = shutil.disk_usage(path.parent).free
    if total is not None and total - done > free:
        raise ModelError(
            f"{path} needs {total - done:,} bytes more, and its disk has {free:,} left: make room, or put "
            "the cache elsewhere; what has come stays, and the next try goes on from it"
        )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _brief(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split())[:160] or type(error).__name__
