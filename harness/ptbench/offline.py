"""Offline: from `seal` on, this process and its children open no network socket.

Three guards, each for what the one before it cannot see: the switches that libraries know, set before
they are imported; an audit hook, which sees every socket of Python code and says who asked for it; and
on Linux a filter in the kernel (seccomp), which refuses network sockets to native code and to child
processes. Sockets within the machine (AF_UNIX) stay: workers need them. It keeps mistakes from reaching
the network; it is no prison for code that is out to break it.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import platform
import socket
import struct
import sys
from types import FrameType
from typing import Any

from ptbench.errors import PtbenchError

SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "offline",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
"""What libraries are told by their own means, so that they look into their caches and do not ask."""

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_FETCH = "run `ptbench fetch SUITE` with a network first"
_WITHIN = "within this machine too no network socket is opened: leave --offline out if it needs one"
_LEAVE = "leave --offline out if it stays within this machine"
_HERE = __name__
_sealed = False


class OfflineError(PtbenchError):
    """Something wanted to reach the network in a run that is offline."""


class WithinError(OfflineError):
    """Something wanted a network socket within this machine, which nothing brought beforehand replaces."""


def seal() -> None:
    """Open no network socket from now on, for as long as this process lives. Call it before any import.

    What tries gets an `OfflineError` that names it, the host, and `ptbench fetch`. It is no `OSError`:
    libraries would take it for a passing trouble, wait and try again.
    """
    global _sealed  # noqa: PLW0603 - a process is sealed as a whole, once
    if _sealed:
        return
    os.environ.update(SWITCHES)
    sys.addaudithook(_guard)
    _seal_kernel()
    _sealed = True


def sealed() -> bool:
    """Return whether this process is sealed."""
    return _sealed


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    match event.removeprefix("socket."):
        case "getaddrinfo" | "gethostbyname" | "gethostbyaddr":
            raise _refusal("to reach", *arguments[:2])
        case "getnameinfo":
            raise _refusal("to reach", *arguments[0][:2])
        case "connect" | "bind" | "sendto" | "sendmsg" if arguments[0].family in _FAMILIES:
            address = arguments[1] if isinstance(arguments[1], tuple) else ("an unknown host",)
            raise _refusal("to listen at" if event.endswith("bind") else "to reach", *address[:2])
        case "__new__" if arguments[1] in _FAMILIES:  # nobody knows yet where it would go
            raise OfflineError(f"offline: {_who()} wanted to open a network socket; {_FETCH}, or {_LEAVE}")


def _refusal(verb: str, host: Any, port: Any = None) -> OfflineError:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    place = name if port in (None, 0, "") else f"{name}:{port}"
    what = f"offline: {_who()} wanted {verb} {place}"
    if verb == "to listen at" or _is_loopback(name):
        return WithinError(f"{what}; {_WITHIN}")
    return OfflineError(f"{what}; {_FETCH}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().rstrip(".").rpartition(".")[2] == "localhost"


def _who() -> str:
    """Return which package asked: the one that the harness called, and the one that this one called."""
    packages: list[str] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")) or "?"
        package = module.partition(".")[0]
        if package == "ptbench" and module != _HERE:
            break
        if package not in sys.stdlib_module_names and module != _HERE and package not in packages[-1:]:
            packages.append(package)
        frame = frame.f_back
    if not packages:
        return "ptbench" if frame is not None else "Python code"
    return packages[0] if len(packages) == 1 else f"{packages[-1]} (through {packages[-2]})"


# The kernel's numbers, by machine: AUDIT_ARCH_*, and of the system calls `socket` and `seccomp`.
_NUMBERS = {"x86_64": (0xC000003E, 41, 317), "aarch64": (0xC00000B7, 198, 277)}
_NO_NEW_PRIVILEGES, _MODE_FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 13  # EACCES


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _seal_kernel() -> bool:
    """Let the kernel refuse network sockets to all threads and children; return whether it does."""
    if sys.platform != "linux" or platform.machine() not in _NUMBERS:
        return False
    architecture, socket_call, seccomp_call = _NUMBERS[platform.machine()]
    steps = (
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 0, 5, architecture),
        (_LOAD, 0, 0, 0),  # the number of the system call
        (_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, 16),  # its first argument, the family
        (_EQUAL, 2, 0, int(socket.AF_INET)),
        (_EQUAL, 1, 0, int(socket.AF_INET6)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        for privileged in (True, False):
            if not privileged and libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
                return False
            if libc.syscall(seccomp_call, _MODE_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0:
                return True
    except (OSError, AttributeError):
        pass
    return False
