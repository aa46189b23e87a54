"""How many rows of timm's results table are met: parameters, multiply-adds, activations.

    python tests/benchmarks/verify_timm.py TABLE.csv [--sample 200] [--seed 0] [--json PATH]

The table is one of ``results/benchmark-infer-*.csv`` of huggingface/pytorch-image-models. Models are built
with random weights on the meta device; re-parameterised families (rep*, mobileone*) are left out. The
parameters must be equal to the two decimals printed, operations within 1 % of them. Every miss is printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

from ptbench.catalog import load_catalog
from ptbench.claims import Verdict
from ptbench.cli.verifying import finding_data
from ptbench.runner.verify import chosen, claims_of, findings


def main() -> None:
    """Check a sample of the table and print the shares and every miss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    import timm
    import torch

    claims = claims_of("timm", {"table": str(arguments.table)}, load_catalog())
    picked = chosen(claims, sample=arguments.sample, seed=arguments.seed)
    started = time.perf_counter()
    found = list(findings(picked, lambda finding: None))
    seconds = time.perf_counter() - started
    shares = {}
    for quantity in dict.fromkeys(claim.quantity for claim in picked):
        here = [f for f in found if f.claim.quantity == quantity]
        met = sum(f.verdict is Verdict.REPRODUCED for f in here)
        shares[quantity] = {"met": met, "of": len(here), "share": round(met / len(here), 4)}
        print(f"{quantity}: {met} of {len(here)} ({met / len(here):.1%})")
    misses = [finding_data(f) for f in found if f.verdict is not Verdict.REPRODUCED]
    for miss in misses:
        value = miss["measured"]["value"] if miss["measured"] else None
        print(
            f"  {miss['subject']}: {miss['quantity']} {miss['published']}, measured {value}: {miss['reason']}"
        )
    print(f"{seconds:.0f} s")
    if arguments.json:
        figures = {
            "table": arguments.table.name,
            "rows": len(claims) // 3,
            "sample": arguments.sample,
            "seed": arguments.seed,
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "timm": timm.__version__,
            },
            "seconds": round(seconds, 1),
            "shares": shares,
            "misses": [{key: miss[key] for key in ("subject", "quantity")} for miss in misses],
        }
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
