"""Has the entry-point name of another distribution's plugin; both must be loaded."""

import ptbench


@ptbench.hookimpl
def ptbench_reporters() -> list[ptbench.Reporter]:
    return [
        ptbench.Reporter(name="acme-second", description="Writes nothing.", write=lambda report, folder: [])
    ]
