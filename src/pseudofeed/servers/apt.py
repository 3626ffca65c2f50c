"""Debian's package tools: what the machine's own sources say, and installing what is missing."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pseudofeed.errors import ServerError
from pseudofeed.servers.tools import Report, run

__all__ = ["AptSource", "debian_mirror", "install_missing", "parse_sources", "proxy_environment"]


@dataclass(frozen=True, slots=True)
class AptSource:
    """One line of apt's sources, or one stanza of a .sources file."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


def parse_sources(text: str, *, deb822: bool) -> list[AptSource]:
    """The enabled binary sources of one file (sources.list(5)): stanzas when deb822, lines otherwise."""
    return list(_stanzas(text) if deb822 else _lines(text))


def _lines(text: str) -> Iterable[AptSource]:
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        words = words[1:]
        if words and words[0].startswith("["):
            while words and not words.pop(0).endswith("]"):
                pass
        if len(words) >= 2:
            yield AptSource((words[0],), (words[1],), tuple(words[2:]))


def _stanzas(text: str) -> Iterable[AptSource]:
    fields: dict[str, list[str]] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() not in ("no", "false"):
                yield AptSource(*(tuple(fields.get(key, ())) for key in ("uris", "suites", "components")))
            fields, name = {}, ""
        elif line[0].isspace():
            fields.setdefault(name, []).extend(line.split())
        else:
            key, _, value = line.partition(":")
            name = key.strip().lower()
            fields[name] = value.split()


def debian_mirror(sources: Iterable[AptSource], codename: str) -> str | None:
    """The Debian mirror's address: the source that has the machine's own release with the component main."""
    for source in sources:
        if codename in source.suites and "main" in source.components:
            for uri in source.uris:
                if uri.partition(":")[0] in ("http", "https", "file"):
                    return uri.rstrip("/")
    return None


def machine_sources(folder: Path = Path("/etc/apt")) -> list[AptSource]:
    """All enabled sources of this machine."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[AptSource] = []
    for file in files:
        if file.suffix in (".list", ".sources") and file.is_file():
            found += parse_sources(file.read_text(errors="replace"), deb822=file.suffix == ".sources")
    return found


def proxy_environment() -> dict[str, str]:
    """apt's own proxy, as variables for programs that do not read apt's configuration (debootstrap's wget)."""
    variables: dict[str, str] = {}
    for scheme in ("http", "https"):
        if f"{scheme}_proxy" in os.environ:
            continue
        answer = subprocess.run(
            ["apt-config", "shell", "PROXY", f"Acquire::{scheme}::Proxy"], capture_output=True, text=True, check=False
        )
        for word in shlex.split(answer.stdout):
            value = word.partition("=")[2]
            if value and value != "DIRECT":
                variables[f"{scheme}_proxy"] = value
    return variables


def install_missing(programs: Sequence[tuple[str, str]], *, log: Path, lock: int, report: Report) -> None:
    """Install with apt the packages of those (program, package) pairs whose program is not on the path.

    A package that brings a service (redis-server) does not get to start it.
    """
    packages = [package for program, package in programs if shutil.which(program) is None]
    if not packages:
        return
    report(f"installing with apt: {', '.join(packages)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], log=log, what="apt-get update", lock=lock, environment=quiet)
    with _WithoutServices():
        run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
            log=log,
            what=f"apt-get install {' '.join(packages)}",
            lock=lock,
            environment=quiet,
        )
    still = [program for program, _ in programs if shutil.which(program) is None]
    if still:
        raise ServerError(f"apt installed {', '.join(packages)}, but {', '.join(still)} is still missing; see {log}")


class _WithoutServices:
    """While it lasts, packages being installed start no service: policy-rc.d answers 101 ("not allowed").

    A machine that has a policy of its own keeps it.
    """

    _policy = Path("/usr/sbin/policy-rc.d")

    def __init__(self) -> None:
        self._ours = False

    def __enter__(self) -> None:
        try:
            with self._policy.open("x") as file:
                file.write("#!/bin/sh\nexit 101\n")
        except FileExistsError:
            return
        self._ours = True
        self._policy.chmod(0o755)

    def __exit__(self, *exception: object) -> None:
        if self._ours:
            self._policy.unlink(missing_ok=True)
