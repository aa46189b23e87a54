"""Digests of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ptbench_torch.digest import file_sha256, files_sha256


def test_one_file_has_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    assert file_sha256(path) == hashlib.sha256(b"abc").hexdigest()
    assert files_sha256([path], tmp_path) == file_sha256(path)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    first = file_sha256(path)
    path.write_bytes(b"abd")
    os.utime(path, ns=(1, 1))
    assert file_sha256(path) != first


def test_several_files_have_the_digest_of_their_sha256sum_list(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    files = [tmp_path / "b", tmp_path / "sub" / "a"]
    for i, file in enumerate(files):
        file.write_bytes(bytes([i]))
    expected = f"{file_sha256(files[0])}  b\n{file_sha256(files[1])}  sub/a\n"
    assert files_sha256(files, tmp_path) == hashlib.sha256(expected.encode()).hexdigest()
    assert files_sha256(files[::-1], tmp_path) == files_sha256(files, tmp_path)
