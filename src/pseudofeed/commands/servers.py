"""`pseudofeed servers`: its commands. What they do is servers/lifecycle.py."""

from __future__ import annotations

import sys
from dataclasses import asdict

import typer

from pseudofeed.commands.console import stderr, stdout
from pseudofeed.commands.options import Json
from pseudofeed.commands.results import print_json, result_table

__all__ = ["servers_app"]

servers_app = typer.Typer(help="Run real Kafka, Redis and TimescaleDB servers on this machine.", no_args_is_help=True)


@servers_app.command("up")
def servers_up() -> None:
    """Start Kafka, Redis and TimescaleDB. Prints the three variables with their addresses, ready for the shell."""
    from pseudofeed.servers import ServerSettings, up

    endpoints = up(ServerSettings.from_environment(), report=lambda text: stderr.print(text))
    for variable, value in endpoints.environment().items():
        sys.stdout.write(f"{variable}={value}\n")


@servers_app.command("down")
def servers_down() -> None:
    """Stop the servers that `up` started. Their data is kept."""
    from pseudofeed.servers import ServerSettings, down

    down(ServerSettings.from_environment(), report=lambda text: stderr.print(text))


@servers_app.command("status")
def servers_status(json_output: Json = False) -> None:
    """Show which of the servers answer. The exit code is 1 if one does not."""
    from pseudofeed.servers import ServerSettings, status

    found = status(ServerSettings.from_environment())
    if json_output:
        print_json({"servers": [asdict(server) for server in found]})
    else:
        table = result_table("server", "address", "state", "version")
        for server in found:
            state = "up" if server.answers else "does not answer" if server.started else "down"
            owner = "" if server.started or not server.answers else ", not started by us"
            table.add_row(server.name, server.address, state + owner, server.version or "")
        stdout.print(table)
    sys.exit(0 if all(server.answers for server in found) else 1)
