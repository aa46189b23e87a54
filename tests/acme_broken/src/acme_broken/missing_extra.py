"""Offers something that needs an extra which is not installed."""

import ptbench


@ptbench.hookimpl
def ptbench_reporters() -> list[ptbench.Reporter]:
    return [
        ptbench.Reporter(
            name="acme-quantum",
            description="Needs a framework that is not there.",
            requires=("no_such_framework",),
            write=lambda report, folder: [],
        )
    ]
