"""`ptbench list`: offers, plugins and hooks."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click

from ptbench.cli.shared import JSON, make_console


@click.group("list", invoke_without_command=True)
@JSON
@click.pass_context
def list_group(context: click.Context, as_json: bool) -> None:
    """Show every offer by kind with its owner; or the plugins, or the hooks."""
    if context.invoked_subcommand is None:
        _offers(as_json)


@list_group.command("plugins")
@JSON
def plugins_command(as_json: bool) -> None:
    """Show each plugin: distribution, version, file, offers, and what is wrong with it."""
    from rich.table import Table
    from rich.text import Text

    from ptbench.catalog import load_catalog

    catalog = load_catalog()
    rows = [
        {
            "plugin": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "file": plugin.file,
            "offers": [f"{offer.group}:{offer.name}" for offer in plugin.offers],
            "error": plugin.error,
            "missing": dict(plugin.missing),
        }
        for plugin in catalog.plugins
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(header_style="bold")
    for name in ("plugin", "distribution", "file", "offers", "state"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            Text(str(row["plugin"])),
            Text(f"{row['distribution']} {row['version']}"),
            Text(str(row["file"])),
            Text(_grouped(row["offers"])),
            _state(row),
        )
    console = make_console()
    console.print(table)
    for clash in catalog.clashes():
        console.print(Text(f"clash: {clash}", style="red"), soft_wrap=True)


@list_group.command("options")
@click.argument("name", required=False)
@JSON
def options_command(name: str | None, as_json: bool) -> None:
    """Show the options that a suite may give to offers: to all, or to those called NAME."""
    from rich.table import Table
    from rich.text import Text

    from ptbench.catalog import GROUPS, load_catalog
    from ptbench.errors import UnknownNameError, nearest
    from ptbench.values import type_names

    catalog = load_catalog()
    offers = [offer for group in GROUPS for offer, _ in catalog.owned(group) if offer.options]
    shown = [offer for offer in offers if name in (None, offer.name)]
    if not shown:
        known = {offer.name for offer in offers}
        raise UnknownNameError(f"nothing called '{name}' has options; {nearest(name or '', known)}")
    rows = [
        {
            "offer": f"{offer.group} {offer.name}",
            "option": option.name,
            "value": type_names(option.types),
            "default": option.default,
            "choices": list(option.choices),
            "description": option.description,
        }
        for offer in shown
        for option in offer.options
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    table = Table(header_style="bold")
    for column in ("offer", "option", "value", "default", "description"):
        table.add_column(column, overflow="fold")
    for row in rows:
        default = "" if row["default"] is None else json.dumps(row["default"], default=str)
        table.add_row(
            *(Text(str(row[key])) for key in ("offer", "option", "value")),
            Text(default),
            Text(str(row["description"])),
        )
    make_console().print(table)


@list_group.command("hooks")
@JSON
def hooks_command(as_json: bool) -> None:
    """Print the hook specifications: what a plugin may implement."""
    from ptbench import hookspecs

    specs = {
        name: function
        for name, function in vars(hookspecs).items()
        if name.startswith("ptbench_") and callable(function)
    }
    if as_json:
        click.echo(json.dumps({name: inspect.getdoc(spec) for name, spec in specs.items()}, indent=2))
        return
    click.echo(inspect.getdoc(hookspecs))
    for name, spec in specs.items():
        signature = str(inspect.signature(spec)).replace("'", "")
        click.echo(f"\n{name}{signature}")
        for line in (inspect.getdoc(spec) or "").splitlines():
            click.echo(f"    {line}")


def _offers(as_json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from ptbench.catalog import GROUPS, load_catalog

    catalog = load_catalog()
    rows = [
        {
            "group": group,
            "name": offer.name,
            "plugin": str(plugin),
            "description": offer.description,
            "options": [option.name for option in offer.options],
            "missing": [module for module in offer.requires if module in plugin.missing],
        }
        for group in GROUPS
        for offer, plugin in catalog.owned(group)
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(header_style="bold")
    for name in ("offer", "name", "plugin", "description"):
        table.add_column(name, overflow="fold")
    last = ""
    for row in rows:
        if last and row["group"] != last:
            table.add_section()
        description = Text(str(row["description"]))
        if row["missing"]:
            description.append(f" (missing: {', '.join(row['missing'])})", style="red")
        table.add_row(
            str(row["group"]) if row["group"] != last else "",
            Text(str(row["name"])),
            Text(str(row["plugin"])),
            description,
        )
        last = str(row["group"])
    console = make_console()
    console.print(table)
    for plugin in catalog.broken():
        console.print(Text(f"broken: {plugin}: {plugin.error}", style="red"), soft_wrap=True)
    for clash in catalog.clashes():
        console.print(Text(f"clash: {clash}", style="red"), soft_wrap=True)


def _state(row: dict[str, Any]) -> Any:
    from rich.text import Text

    if row["error"]:
        return Text(f"broken: {row['error']}", style="red")
    if row["missing"]:
        missing = "; ".join(f"{module} is missing: {how}" for module, how in row["missing"].items())
        return Text(missing, style="yellow")
    return Text("ok", style="green")


def _grouped(offers: Any) -> str:
    groups: dict[str, list[str]] = {}
    for offer in offers:
        group, _, name = offer.partition(":")
        groups.setdefault(group, []).append(name)
    return "\n".join(f"{group}: {', '.join(names)}" for group, names in groups.items())
