"""The device that was asked for is the one that is used, or an error says which there are."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ptbench import ModelError  # noqa: E402
from ptbench_torch import device  # noqa: E402


def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "available_devices", lambda: ["cuda:0", "cuda:1", "cpu"])
    assert device.find_device("auto") == torch.device("cuda:0")
    assert device.find_device("cuda") == torch.device("cuda:0")
    assert device.find_device("cuda:1") == torch.device("cuda:1")
    assert device.find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", "device 'cuda' is not there; this process can use: cpu"),
        ("cuda:7", "device 'cuda:7' is not there; this process can use: cpu"),
        ("mps", "device 'mps' is not there; this process can use: cpu"),
        ("cpuu", "device 'cpuu' is unknown: did you mean 'cpu'?"),
        ("gpu", "device 'gpu' is unknown: did you mean 'cpu'?"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "available_devices", lambda: ["cpu"])
    with pytest.raises(ModelError) as caught:
        device.find_device(name)
    assert str(caught.value) == message


def test_precisions() -> None:
    cpu = torch.device("cpu")
    assert [device.find_dtype(name, cpu) for name in ("fp32", "bf16", "fp16")] == [
        torch.float32,
        torch.bfloat16,
        torch.float16,
    ]
    with pytest.raises(ModelError, match="precision 'bf61' is unknown: did you mean 'bf16'"):
        device.find_dtype("bf61", cpu)


def test_a_precision_that_the_device_cannot_do_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("not implemented for 'Half'")

    monkeypatch.setattr(torch, "ones", refuse)
    with pytest.raises(ModelError, match="device 'cpu' cannot compute in fp16: use fp32"):
        device.find_dtype("fp16", torch.device("cpu"))


def test_batch_tokens() -> None:
    cpu = torch.device("cpu")
    assert device.batch_tokens(None, cpu) == device.BATCH_TOKENS["cpu"]
    assert device.batch_tokens(7, cpu) == 7
    with pytest.raises(ModelError, match="batch_tokens = 0: a batch holds at least 1 token"):
        device.batch_tokens(0, cpu)
