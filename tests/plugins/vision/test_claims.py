"""What torchvision and timm publish of cost is met: small models always, timm's table with its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptbench import testing
from ptbench.catalog import Catalog, load_catalog
from ptbench.claims import Finding, Verdict
from ptbench.errors import UsageError
from ptbench.runner.verify import chosen, claims_of, findings

SMALL = (
    "alexnet@",
    "resnet18@",
    "googlenet@",
    "mobilenet_v3_small@",
    "squeezenet1_1@",
    "vit_b_32@",
    "swin_t@",
)
HEADER = "model,infer_img_size,infer_samples_per_sec,param_count,infer_gmacs,infer_macts\n"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def verdicts(found: list[Finding]) -> dict[str, Verdict]:
    return {f"{f.claim.subject} {f.claim.quantity}": f.verdict for f in found}


def test_the_plugin_conforms() -> None:
    import ptbench_vision

    testing.check_plugin(ptbench_vision)


def test_every_weight_of_torchvisions_registry_has_its_two_claims(catalog: Catalog) -> None:
    claims = claims_of("torchvision", {}, catalog)
    assert len({claim.subject for claim in claims}) * 2 == len(claims) >= 230
    assert all(claim.published for claim in claims)


@pytest.mark.parametrize("name", SMALL)
def test_torchvisions_figures_are_met(catalog: Catalog, name: str) -> None:
    picked = chosen(claims_of("torchvision", {}, catalog), name)
    found = list(findings(picked, lambda finding: None))
    assert len(found) >= 2
    assert set(verdicts(found).values()) == {Verdict.REPRODUCED}, found


@pytest.mark.parametrize(
    "name", ["resnet50.a1_in1k", "convnextv2_atto", "beit_base_patch16_224", "fbnetc_100"]
)
def test_the_model_cards_of_timm_are_met(catalog: Catalog, name: str) -> None:
    found = list(findings(chosen(claims_of("timm", {}, catalog), name), lambda finding: None))
    assert len(found) == 3
    assert set(verdicts(found).values()) == {Verdict.REPRODUCED}, found


def test_a_table_of_timm_is_read_without_its_reparameterised_families(
    catalog: Catalog, tmp_path: Path
) -> None:
    table = tmp_path / "benchmark-infer.csv"
    rows = "resnet18,224,9.9,11.69,1.82,2.48\nrepvgg_a0,224,9.9,1,1,1\nresnet10t,176,9.9,5.00,0.70,1.51\n"
    table.write_text(HEADER + rows, "utf-8")
    found = list(findings(claims_of("timm", {"table": str(table)}, catalog), lambda finding: None))
    assert verdicts(found) == {
        "resnet18 at 224 parameters": Verdict.REPRODUCED,
        "resnet18 at 224 multiply-adds (fvcore)": Verdict.REPRODUCED,
        "resnet18 at 224 activations": Verdict.REPRODUCED,
        "resnet10t at 176 parameters": Verdict.OFF,  # 5.44 are published
        "resnet10t at 176 multiply-adds (fvcore)": Verdict.REPRODUCED,
        "resnet10t at 176 activations": Verdict.REPRODUCED,
    }
    assert "benchmark-infer.csv, line 2" in {f.claim.source for f in found}


def test_a_model_that_timm_does_not_know_costs_its_own_claims_alone(catalog: Catalog, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(HEADER + "no_such_net,224,1,1.0,1.0,1.0\n", "utf-8")
    found = list(findings(claims_of("timm", {"table": str(table)}, catalog), lambda finding: None))
    assert [f.verdict for f in found] == [Verdict.UNMEASURED] * 3
    assert all(f.failed and "no_such_net" in f.reason for f in found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("model,gmacs\na,1\n", "has no column 'infer_img_size'"),
        (HEADER + "resnet18,small,1,1,1,1\n", "line 2: infer_img_size 'small'"),
    ],
)
def test_a_table_that_is_none_is_told(catalog: Catalog, tmp_path: Path, text: str | None, told: str) -> None:
    table = tmp_path / "t.csv"
    if text is not None:
        table.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=told):
        claims_of("timm", {"table": str(table)}, catalog)


def test_an_option_of_the_wrong_type_is_a_mistake_of_the_call(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="option 'table' of claims 'timm' is 3; a text was expected"):
        claims_of("timm", {"table": 3}, catalog)


@pytest.mark.truth
def test_a_sample_of_timms_own_table_is_met(catalog: Catalog, truth: Path) -> None:
    (table,) = (truth / "timm").glob("benchmark-infer-*.csv")
    picked = chosen(claims_of("timm", {"table": str(table)}, catalog), sample=20, seed=1)
    found = list(findings(picked, lambda finding: None))
    met = [f for f in found if f.verdict is Verdict.REPRODUCED]
    assert len(met) >= 0.95 * len(found), [f for f in found if f.verdict is not Verdict.REPRODUCED]


def test_a_name_with_a_colon_is_not_looked_for_on_a_hub(catalog: Catalog, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "model,infer_img_size,param_count,infer_gmacs,infer_macts\nhf_hub:timm/resnet18.a1_in1k,224,1,1,1\n"
    )
    found = list(findings(claims_of("timm", {"table": str(table)}, catalog), lambda finding: None))
    assert {(f.verdict, f.failed) for f in found} == {(Verdict.UNMEASURED, True)}
    assert "timm has no model 'hf_hub:timm/resnet18.a1_in1k'" in found[0].reason
