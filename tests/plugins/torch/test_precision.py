"""The precision that `auto` stands for, and when a model does not bear it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ptbench_torch.precision import chosen_precision, unsafe  # noqa: E402

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    ("supported", "capability", "expected"),
    [(True, (8, 0), "bf16"), (True, (9, 0), "bf16"), (True, (7, 5), "fp32"), (False, (8, 6), "fp32")],
)
def test_auto_is_bf16_where_a_gpu_has_matrix_units_for_it(
    supported: bool, capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert chosen_precision("auto", GPU) == expected
    assert chosen_precision("fp16", GPU) == "fp16"


def test_auto_is_fp32_elsewhere() -> None:
    assert [chosen_precision("auto", torch.device(name)) for name in ("cpu", "mps")] == ["fp32", "fp32"]
    assert chosen_precision("bf16", CPU) == "bf16"


def test_outputs_that_are_far_from_float32_are_not_safe() -> None:
    full = torch.tensor([[3.0, 4.0]])
    assert unsafe(full.bfloat16(), full) == ""
    assert unsafe(torch.tensor([[3.0, 4.2]]), full) == ""
    assert unsafe(torch.tensor([[3.0, 5.0]]), full) == "its first output differs by 20%"
    assert unsafe(torch.tensor([[3.0, torch.nan]]), full) == "its first output is no finite number"
    assert unsafe(full, torch.tensor([[3.0, torch.inf]])) == "", "it is broken in float32 too"
    assert unsafe(torch.zeros(1, 2), torch.zeros(1, 2)) == ""
