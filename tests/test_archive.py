"""The file of a bundle: the same bytes for the same content, and nothing damaged or hostile is unpacked."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptbench import UsageError
from ptbench.archive import MANIFEST, Archive, write_archive

MEMBERS: dict[str, bytes | Path] = {"a.txt": b"first", "deep/er/b.parquet": bytes(range(256)) * 50, "c": b""}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    write_archive(tmp_path / "good", {"format": "x"}, MEMBERS)
    return tmp_path / "good"


def complaint(path: Path) -> str:
    with pytest.raises(UsageError) as error:
        Archive(path)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_was_written_is_read_back(good: Path, tmp_path: Path) -> None:
    with Archive(good) as archive:
        assert archive.about == {"format": "x", "version": 1}
        assert {name: archive.read(name) for name in archive.members} == MEMBERS
        assert archive.names("deep/") == ["deep/er/b.parquet"]
        archive.extract(archive.names("deep/"), tmp_path / "out", without="deep/")
        with pytest.raises(UsageError, match="has no nothing"):
            archive.read("nothing")
    assert (tmp_path / "out" / "er" / "b.parquet").read_bytes() == MEMBERS["deep/er/b.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "out"]  # no .part is left


def test_the_same_content_gives_the_same_bytes(good: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"first")
    shuffled = dict(reversed({**MEMBERS, "a.txt": tmp_path / "file"}.items()))
    write_archive(tmp_path / "again", {"format": "x"}, shuffled)
    assert (tmp_path / "again").read_bytes() == good.read_bytes()


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write_archive(tmp_path / "no" / "where", {}, MEMBERS)
    with pytest.raises(UsageError, match="cannot be written"):
        write_archive(tmp_path / "target", {}, {"gone": tmp_path / "gone"})
    assert list(tmp_path.iterdir()) == []


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_goes_unseen(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write_archive(folder / "good", {}, MEMBERS)
    whole = (folder / "good").read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        (folder / "bad").write_bytes(whole[:at])
    else:
        changed = whole[at] ^ data.draw(st.integers(1, 255))
        (folder / "bad").write_bytes(whole[:at] + bytes([changed]) + whole[at + 1 :])
    try:
        with Archive(folder / "bad") as archive:  # a bit of a date or of a comment is nobody's content
            read = {name: archive.read(name) for name in archive.members}
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert read == MEMBERS


def forged(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes], listed: bool = True) -> Path:
    """Write a ZIP file whose manifest is right, as a hostile hand would."""
    import hashlib

    known = {
        (info if isinstance(info, str) else info.filename): {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for info, data in members
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps({"version": 1, "members": known if listed else {}}))
        for info, data in members:
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    "name", ["../out", "a/../../out", "/etc/passwd", "a\\..\\b", "C:evil", "..", "a/./b", "a\nb"]
)
def test_names_that_leave_the_folder(name: str, tmp_path: Path) -> None:
    assert "leaves its folder; nothing was unpacked" in complaint(forged(tmp_path / "bad", (name, b"x")))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a", "a/b"), "member 'a/b' lies below a file"),
        (("A/b/c", "a/B"), "member 'A/b/c' lies below a file"),
        (("x" * 300,), "…' is too long"),
        (("x/" + "\u00e9" * 130,), "…' is too long"),
        (("y/" * 600 + "z",), "…' is too long"),
    ],
)
def test_names_that_no_folder_can_hold(names: tuple[str, ...], told: str, tmp_path: Path) -> None:
    message = complaint(forged(tmp_path / "bad", *((name, b"x") for name in names)))
    assert told in message
    assert message.endswith("; nothing was unpacked")
    assert len(message) < len(str(tmp_path)) + 200


def test_what_cannot_be_unpacked_names_the_archive(good: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    with Archive(good) as archive, pytest.raises(UsageError, match="good cannot be unpacked: "):
        archive.extract(["c"], tmp_path / "out")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_what_is_no_plain_file(kind: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    assert "'link' is no plain file" in complaint(forged(tmp_path / "bad", (info, b"/etc/passwd")))
    assert "'folder/' is no plain file" in complaint(forged(tmp_path / "bad", ("folder/", b"")))


def test_bombs(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, "{}")
        with archive.open("zeros", "w") as member:
            for _ in range(600):
                member.write(bytes(2**20))
    assert "would unpack to 629,145,602 bytes; nothing was unpacked" in complaint(path)


def test_a_member_that_is_larger_than_it_says(tmp_path: Path) -> None:
    path = tmp_path / "liar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, '{"version": 1, "members": {"a": {"bytes": 1000000, "sha256": ""}}}')
        archive.writestr("a", bytes(1_000_000))
    whole = path.read_bytes()
    path.write_bytes(whole.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "liar" in complaint(path)


def test_two_members_of_one_name(tmp_path: Path) -> None:
    assert "two members have one name" in complaint(forged(tmp_path / "bad", ("a", b"1"), ("A", b"2")))


def test_manifest_and_members_must_agree(good: Path, tmp_path: Path) -> None:
    assert "a is not in its manifest" in complaint(forged(tmp_path / "bad", ("a", b"1"), listed=False))
    with zipfile.ZipFile(tmp_path / "less", "w") as archive:
        with Archive(good) as whole:
            manifest = {"version": 1, "members": {"c": {"bytes": 0, "sha256": whole.members["c"].sha256}}}
        archive.writestr(MANIFEST, json.dumps(manifest))
    assert "c is missing" in complaint(tmp_path / "less")
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        archive.writestr("c", b"not empty")
    assert "c is not what its manifest says" in complaint(tmp_path / "other")


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("{", "manifest.json is no manifest"),
        ("[]", "manifest.json is no manifest"),
        ('{"version": 1}', "manifest.json is no manifest: 'members'"),
        ('{"version": 2, "members": {}}', "is of version 2, and this ptbench reads 1"),
        ('{"version": 1, "members": {"a": 3}}', "manifest.json is no manifest"),
    ],
)
def test_a_manifest_that_is_none(manifest: str, told: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad", "w") as archive:
        archive.writestr(MANIFEST, manifest)
    assert told in complaint(tmp_path / "bad")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert "is no bundle: File is not a zip file" in complaint(tmp_path / "text")
    assert "cannot be read: No such file" in complaint(tmp_path / "nothing")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    assert "is no bundle: it has no manifest.json" in complaint(tmp_path / "zip")
