"""Reading images: the pixels that torchvision reads, and one error for every sort of bad file."""

from __future__ import annotations

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from tests.plugins.vision.pictures import bad_files, encoded, huge, jpeg, noise, write

from ptbench import testing
from ptbench_torch.images import LIMIT, UnreadableImage, check_image, read_image
from ptbench_torch.pixels import REASONS
from ptbench_vision import checking
from ptbench_vision.checking import check_images

torchvision = pytest.importorskip("torchvision")
from torchvision.datasets.folder import default_loader  # noqa: E402


def pixels(cell: Any) -> Any:
    image = read_image(cell)
    assert image.mode == "RGB"
    return np.asarray(image)


def reason(cell: Any) -> str:
    """Return why a cell cannot be read, on which both functions must agree; else nothing."""
    checked = check_image(cell)
    if not checked.reason:
        read_image(cell)
        return ""
    with pytest.raises(UnreadableImage) as error:
        read_image(cell)
    assert (error.value.reason, str(error.value)) == (checked.reason, checked.message)
    assert checked.reason in REASONS
    assert "\n" not in checked.message
    return checked.reason


FILES = [
    ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"), ("P", "PNG"),
    ("RGBA", "PNG"), ("LA", "PNG"), ("1", "PNG"), ("RGB", "GIF"), ("RGB", "BMP"), ("CMYK", "TIFF"),
    ("RGBA", "TIFF"), ("RGB", "WEBP"), ("RGBA", "WEBP"), ("RGB", "PPM"), ("YCbCr", "TIFF"),
]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(
    file=st.sampled_from(FILES), seed=st.integers(0, 99), height=st.integers(1, 40), width=st.integers(1, 40)
)
@example(file=("RGB", "JPEG"), seed=0, height=1, width=1)
@example(file=("CMYK", "JPEG"), seed=0, height=1, width=1000)
def test_the_pixels_are_those_of_torchvision(
    tmp_path_factory: pytest.TempPathFactory, file: tuple[str, str], seed: int, height: int, width: int
) -> None:
    mode, kind = file
    data = encoded(Image.fromarray(noise(height, width, seed)).convert(mode), kind)
    path = write(tmp_path_factory.getbasetemp() / f"same.{kind.lower()}", data)
    expected = np.asarray(default_loader(str(path)))
    assert np.array_equal(pixels(path), expected)
    assert np.array_equal(pixels(data), expected)
    assert reason(path) == ""


def test_grey_of_16_bits_is_scaled_and_not_clipped() -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    expected = [0, 0, 1, 1, 128, 255]  # nearest of value / 257
    for data in (testing.png(values), encoded(values, "TIFF"), encoded(values.astype(np.int32), "TIFF")):
        assert pixels(data)[0, :, 0].tolist() == expected
        assert (pixels(data) == pixels(data)[..., :1]).all()
        assert check_image(data).traits == {"16-bit"}


def test_floats_reach_from_0_to_1() -> None:
    assert pixels(encoded(np.array([[0, 0.5, 1]], dtype=np.float32), "TIFF"))[0, :, 0].tolist() == [
        0,
        128,
        255,
    ]
    for beyond in ([[0, 1.5]], [[-0.1, 1]], [[np.nan, 1]]):
        assert reason(encoded(np.array(beyond, dtype=np.float32), "TIFF")) == "no range"
    assert reason(encoded(np.array([[0, 70_000]], dtype=np.int32), "TIFF")) == "no range"


def test_a_palette_with_transparency_gives_no_warning() -> None:
    image = Image.fromarray(noise()).convert("P")
    data = encoded(image, "PNG", transparency=bytes(range(200)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(image.convert("RGB"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert np.array_equal(pixels(data), expected)
        assert check_image(data).traits == {"alpha"}
    assert not caught


def test_a_broken_exif_gives_no_warning_and_no_error() -> None:
    data = jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\0\x09\0\x06\0\0")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert reason(data) == ""
    assert not caught


def test_the_first_frame_as_it_lies() -> None:
    first, second = (Image.fromarray(noise(seed=seed)) for seed in (1, 2))
    animated = encoded(first, "PNG", save_all=True, append_images=[second])
    assert np.array_equal(pixels(animated), np.asarray(first))
    assert check_image(animated).traits == {"frames"}
    assert "frames" in check_image(encoded(first, "GIF", save_all=True, append_images=[second])).traits
    turned = Image.Exif()
    turned[0x0112] = 6
    data = jpeg(exif=turned)
    assert np.array_equal(pixels(data), pixels(jpeg()))
    assert check_image(data).traits == {"rotated"}
    assert check_image(jpeg()).traits == frozenset()


def test_arrays() -> None:
    rgb = noise()
    assert np.array_equal(pixels(rgb), rgb)
    assert np.array_equal(pixels(np.dstack([rgb, rgb[..., :1]])), rgb)
    for grey in (rgb[..., 0], rgb[..., :1]):
        assert np.array_equal(pixels(grey), np.repeat(rgb[..., :1], 3, axis=2))
    assert check_image(np.dstack([rgb, rgb[..., :1]])).traits == {"alpha"}
    assert np.array_equal(pixels(Image.fromarray(rgb)), rgb)
    assert reason(np.zeros((3, 8, 8), np.uint8)) == "not an image"
    assert "uint8[3, 8, 8]" in check_image(np.zeros((3, 8, 8), np.uint8)).message
    assert reason(rgb.astype(float)) == reason(np.zeros(5, np.uint8)) == "not an image"
    assert reason(np.zeros((0, 4, 3), np.uint8)) == "empty"
    assert reason(np.broadcast_to(np.uint8(0), (1, LIMIT + 1))) == "too large"


def test_every_sort_of_bad_file(tmp_path: Path) -> None:
    expected = bad_files(tmp_path)
    assert {name: reason(tmp_path / name) for name in expected} == expected
    assert all(name in check_image(tmp_path / name).message for name in expected)
    assert reason(tmp_path) == "not a file"
    assert reason(Path("/dev/zero")) == "not a file"
    assert reason(Path("a\0b.jpg")) == "closed"
    assert reason(tmp_path / ("x" * 300)) == "closed"
    assert reason(tmp_path / "empty.jpg" / "x.jpg") == "closed"
    assert reason(b"") == "empty"
    assert reason(None) == "missing"
    assert reason("a.jpg") == "not an image"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_we_may_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", jpeg()).chmod(0)
    assert reason(tmp_path / "a.jpg") == "closed"


def test_formats_that_run_programs_are_not_tried() -> None:
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n") == "not an image"
    assert reason(b"%PDF-1.4\n") == "not an image"
    assert reason(b'<svg xmlns="http://www.w3.org/2000/svg"/>') == "not an image"


def test_the_largest_image_passes_the_header() -> None:
    assert reason(huge(13_378, 13_377)) == "too large"
    assert 13_378 * 13_377 > LIMIT >= 13_377 * 13_377
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (
            check_image(huge(13_377, 13_377)).reason == "truncated"
        )  # within the limit, and no pixels in it
    assert not caught


def spoilt(draw: st.DrawFn, data: bytes) -> bytes:
    """Return data cut short, with bytes changed, or both."""
    bad = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        bad[draw(st.integers(0, len(bad) - 1))] = draw(st.integers(0, 255))
    return bytes(bad[: draw(st.one_of(st.just(len(bad)), st.integers(1, len(bad)), st.integers(-20, -1)))])


GOOD = {
    "baseline": jpeg(quality=90),
    "progressive": jpeg(progressive=True),
    "4:4:4": jpeg(subsampling=0, quality=99),
    "grey": encoded(noise()[..., 0], "JPEG"),
    "cmyk": encoded(Image.fromarray(noise()).convert("CMYK"), "JPEG", progressive=True),
    "restarts": jpeg(restart_marker_blocks=2),
    "png": encoded(noise()),
    "gif": encoded(noise(), "GIF"),
    "webp": encoded(noise(), "WEBP"),
    "tiff": encoded(noise(), "TIFF", compression="tiff_lzw"),
}


@settings(max_examples=600, deadline=None)
@given(sort=st.sampled_from(sorted(GOOD)), data=st.data())
def test_a_check_refuses_what_reading_refuses(sort: str, data: st.DataObject) -> None:
    bad = data.draw(st.composite(lambda draw: spoilt(draw, GOOD[sort]))())
    reason(bad)


@pytest.mark.parametrize("sort", ["baseline", "progressive"])
def test_truncation_at_any_byte(sort: str) -> None:
    whole = GOOD[sort]
    assert not reason(whole)
    assert all(reason(whole[:end]) for end in range(0, len(whole) - 2, 3))


def test_the_globals_of_pil_stay_as_they_are(tmp_path: Path) -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    for name in bad_files(tmp_path):
        check_image(tmp_path / name)
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before == (89_478_485, False)


def test_many_threads_read_alike(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.jpg", jpeg(seed=i)) for i in range(8)] * 5
    alone = [pixels(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        assert all(map(np.array_equal, alone, pool.map(pixels, paths)))


def test_a_file_is_checked_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    lock = threading.Lock()

    def counting(cell: Any) -> Any:
        with lock:
            seen.append(cell)
        return check_image(cell)

    monkeypatch.setattr(checking, "check_image", counting)
    good, bad = write(tmp_path / "a.jpg", jpeg()), write(tmp_path / "b.jpg", b"no")
    for _ in range(3):
        assert [one.reason for one in check_images([good, bad])] == ["", "not an image"]
    assert sorted(seen) == [good, bad]
    write(bad, jpeg())
    assert [one.reason for one in check_images([good, bad, good])] == ["", "", ""]
    assert sorted(seen) == [good, bad, bad]
    assert check_images([]) == []


def test_the_kits_images_can_be_read() -> None:
    examples = testing.images(20)
    assert [check_image(cell).reason for cell in examples["image"]] == [""] * 20
    assert pixels(examples["image"][0]).shape == (32, 32, 3)
    first = testing.images(1)["image"][0]
    assert isinstance(first, bytes)
    rgb = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(pixels(first), rgb)
