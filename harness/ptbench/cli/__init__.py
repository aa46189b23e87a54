"""The command line: prints and exits; nothing else does.

Exit codes: 0 all cells ok; 1 some cells failed or were skipped; 2 the suite or the call is wrong;
3 something got worse than the baseline; 4 nothing could be compared; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import click

from ptbench import __version__
from ptbench.cli.bundling import bundle_command
from ptbench.cli.caching import cache_group
from ptbench.cli.comparing import compare_command
from ptbench.cli.fetching import fetch_command
from ptbench.cli.following import status_command
from ptbench.cli.gating import gate_command
from ptbench.cli.history import history_command
from ptbench.cli.inspecting import inspect_command
from ptbench.cli.listing import list_group
from ptbench.cli.nightly import nightly_command
from ptbench.cli.pinning import baseline_group
from ptbench.cli.profiling import profile_command
from ptbench.cli.replaying import replay_command
from ptbench.cli.running import run_command
from ptbench.cli.showing import show_command
from ptbench.cli.verifying import verify_command
from ptbench.cli.viewing import plan_command, report_command
from ptbench.errors import PtbenchError, SuiteError, one_line
from ptbench.meter import process_seconds

FAILED, USAGE, INTERRUPTED = 1, 2, 130
SPINS = "10000"
"""How often a waiting thread of OpenMP looks again before it sleeps. By default it spins for so long that one
busy core makes a network on two cores 20 times slower; on an idle machine the two differ by no more than the
noise."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all cells ok; "
    "1 some cells failed or were skipped; 2 the suite or the call is wrong; "
    "3 something got worse than the baseline; 4 nothing could be compared; 130 interrupted.",
)
@click.version_option(__version__, prog_name="ptbench")
def cli() -> None:
    """Which pre-trained model should I use for my task, and what does it cost me?"""


cli.add_command(run_command)
cli.add_command(plan_command)
cli.add_command(fetch_command)
cli.add_command(bundle_command)
cli.add_command(replay_command)
cli.add_command(status_command)
cli.add_command(report_command)
cli.add_command(show_command)
cli.add_command(compare_command)
cli.add_command(gate_command)
cli.add_command(baseline_group)
cli.add_command(nightly_command)
cli.add_command(history_command)
cli.add_command(profile_command)
cli.add_command(verify_command)
cli.add_command(inspect_command)
cli.add_command(list_group)
cli.add_command(cache_group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its documented code."""
    sys.exit(run(arguments, time.perf_counter() - process_seconds()))


def run(arguments: Sequence[str] | None = None, began: float | None = None) -> int:
    """Run the command line and return its exit code; errors are one line each on standard error.

    ``began`` is when the process began, by `time.perf_counter`, where that was not just now.
    """
    now = time.perf_counter()
    if "OMP_WAIT_POLICY" not in os.environ:  # read when a framework is imported, which is later
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        result = cli.main(
            arguments, prog_name="ptbench", standalone_mode=False, obj=now if began is None else began
        )
    except SuiteError as error:
        for mistake in error.mistakes:
            click.echo(f"error: {mistake}", err=True)
        return error.exit_code
    except PtbenchError as error:
        click.echo(f"error: {one_line(error)}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; what was finished is kept", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        click.echo(f"error: {one_line(error)}", err=True)
        return FAILED
    return result if isinstance(result, int) else 0
