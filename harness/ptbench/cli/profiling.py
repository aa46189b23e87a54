"""`ptbench profile`: what models cost on this machine, without a task."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptbench.cli.modelargs import named_models, read_options
from ptbench.cli.shared import DEVICE, JSON, PRECISION, interruptible, make_console
from ptbench.errors import PluginError, UsageError, one_line, printable

if TYPE_CHECKING:
    from ptbench.catalog import Catalog
    from ptbench.profiles import Profile, ProfileRequest
    from ptbench.records import ModelSpec


def _words(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    words = ("+".join(step.strip() for step in word.split("+")) for word in value.split(",") if word.strip())
    if not (names := tuple(dict.fromkeys(words))):
        raise click.BadParameter(f"'{value}' names none; write, say, fp32,bf16+compile")
    return names


def _seconds(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no time that ends")
    return value


def _sizes(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(size) for size in value.split(",")}))
    except ValueError:
        sizes = (0,)
    if sizes[0] < 1:
        raise click.BadParameter(f"'{value}' is no list of whole numbers from 1, such as 1,8,32")
    return sizes


@click.command("profile")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="An option of the models given.")
@click.option("--model", "names", multiple=True, help="Of a suite, this model alone; may be repeated.")
@DEVICE
@PRECISION
@click.option("--batch-sizes", callback=_sizes, default="1,8,32", show_default=True)
@click.option(
    "--variants",
    callback=_words,
    help="fp32, bf16, fp16, channels_last, int8, compile, or joined: bf16+compile.  "
    "[default: the precision; auto: fp32]",
)
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), callback=_seconds, default=3.0, show_default=True,
    help="Budget of each timed window.",
)  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Write profile.csv here.")
@click.option("--csv", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the CSV here.")
@click.option("--quiet", is_flag=True, help="No progress; the table alone.")
@JSON
def profile_command(
    models: tuple[str, ...],
    options: tuple[str, ...],
    names: tuple[str, ...],
    device: str | None,
    precision: str | None,
    batch_sizes: tuple[int, ...],
    variants: tuple[str, ...] | None,
    seconds: float,
    output: Path | None,
    file: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Measure what models cost on this machine: operations, latency, throughput, memory, fidelity.

    MODEL is a model reference (hf:…, timm:…) or a SUITE.toml with all of its models. The exit code is 1
    where a row could not be measured.
    """
    from rich.text import Text

    from ptbench.catalog import load_catalog
    from ptbench.cli.profilerows import check_writable
    from ptbench.profiles import ProfileRequest, check_variants

    check_variants(variants or ())
    paths = [path for path in (output / "profile.csv" if output else None, file) if path]
    for path in paths:
        check_writable(path)
    settings = {k: v for k, v in (("device", device), ("precision", precision)) if v is not None}
    with redirect_stdout(sys.stderr):  # what a plugin prints is no output of ours
        catalog = load_catalog()
        specs = list(named_models(models, read_options(options), names, settings, catalog))
    measured: list[tuple[ModelSpec, Sequence[Profile]]] = []
    progress = make_console(stderr=True)
    progress.quiet = quiet or as_json
    busy = _busy()
    try:
        with interruptible(), redirect_stdout(sys.stderr):
            for number, (spec, base) in enumerate(specs, start=1):
                if refusal := _refusal(spec, base, catalog):
                    if len(specs) == 1:
                        raise UsageError(refusal)
                    measured.append((spec, [_failed(spec, refusal)]))
                    continue
                finished: list[Profile] = []  # what is there when the others are interrupted
                measured.append((spec, finished))
                plain = spec.settings.precision.replace("auto", "fp32")
                request = ProfileRequest(variants or (plain,), batch_sizes, seconds, done=finished.append)
                head = f"[{number}/{len(specs)}] {spec.name}: {', '.join(request.variants)}"
                progress.print(Text(printable(head)), soft_wrap=True)
                finished[:] = _profiles(spec, base, catalog, request, finished)
    except KeyboardInterrupt:
        _show(measured, busy, paths, as_json)
        raise
    return 0 if _show(measured, busy, paths, as_json) else 1


def _show(
    measured: Sequence[tuple[ModelSpec, Sequence[Profile]]],
    busy: tuple[str, ...],
    paths: Sequence[Path],
    as_json: bool,
) -> bool:
    """Print and write what was measured; return whether nothing is missing."""
    from ptbench.cli.profilerows import profile_rows, write_csv
    from ptbench.cli.profiletable import render_profiles

    rows = profile_rows(
        [(spec, [replace(p, notes=(*p.notes, *busy)) for p in found]) for spec, found in measured]
    )
    console = make_console()
    if as_json:
        console.out(json.dumps(rows, indent=2), highlight=False)
    else:
        render_profiles(rows, console)
    good = not any(row["reason"] for row in rows)
    for path in paths if rows else ():
        try:
            write_csv(rows, path)
        except OSError as error:
            good = False
            click.echo(f"error: cannot write {printable(str(path))}: {error.strerror or error}", err=True)
        else:
            if not as_json:
                console.out(f"wrote {path}", highlight=False)
    return good


def _busy() -> tuple[str, ...]:
    """Say whether others used this machine when the command began, as far as anybody knows."""
    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    busy = load >= max(0.5, cores / 4)
    note = f"the machine was busy when this began (load {load:.1f} on {cores} cores)"
    return (f"{note}: times may be too long",) * busy


def _refusal(spec: ModelSpec, base: Path, catalog: Catalog) -> str:
    """Return why a model cannot be measured, as far as its description tells; else nothing."""
    from ptbench.loading import model_request
    from ptbench.model import Capability

    try:
        provider, request = model_request(spec, base, catalog)
        if Capability.PROFILE in provider.describe(request).capabilities:
            return ""
    except (Exception, SystemExit) as error:  # whatever a plugin raises costs its own rows
        return one_line(error)
    return f"{spec.reference} cannot be profiled: provider '{provider.name}' offers no profile"


def _profiles(
    spec: ModelSpec, base: Path, catalog: Catalog, request: ProfileRequest, finished: Sequence[Profile]
) -> Sequence[Profile]:
    from ptbench.loading import load_model
    from ptbench.model import Capability
    from ptbench.profiles import Profilable

    try:
        model = load_model(spec, base, catalog, Capability.PROFILE, None)
        assert isinstance(model, Profilable)
        profiles = list(model.profile(request))
        if [getattr(p, "variant", None) for p in profiles] != list(request.variants):
            raise PluginError(f"{type(model).__name__}.profile did not return one Profile per variant")
        return profiles
    except (Exception, SystemExit) as error:  # likewise
        return [*finished, _failed(spec, one_line(error))]


def _failed(spec: ModelSpec, reason: str) -> Profile:
    from ptbench.profiles import Profile

    return Profile("", spec.settings.device, spec.settings.precision, reason)
