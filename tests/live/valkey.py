"""A Valkey 8 for tests: the machine's, or that of Debian trixie, unpacked beside what `servers up` keeps (48 MB).

It runs with the C library and all else that it was built with, through their own loader, so on an older Debian too.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from pseudofeed.servers import debian
from pseudofeed.servers.apt import debian_mirror, machine_sources
from pseudofeed.servers.settings import ServerSettings
from pseudofeed.servers.tools import locked

__all__ = ["valkey_command"]

_SUITE = "trixie"
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def valkey_command() -> list[str]:
    """What runs its server, ready for arguments. Skips the test where there is none to be had."""
    if (program := shutil.which("valkey-server")) is not None:
        return [program]
    folder = ServerSettings.from_environment().cache / f"debian-{_SUITE}-valkey"
    if not folder.is_dir():
        codename = debian.possible()
        mirror = None if codename is None else debian_mirror(machine_sources(), codename)
        if mirror is None:
            pytest.skip("no valkey-server on this machine, and it is no Debian to fetch one for")
        with locked(folder.parent, print):
            if not folder.is_dir():
                _unpack(mirror, folder)
    (loader,) = (folder / "usr" / "lib").glob(f"{platform.machine()}-linux-gnu/ld-linux-*.so.*")
    return [str(loader), "--library-path", str(loader.parent), str(folder / "usr" / "bin" / "valkey-server")]


def _unpack(mirror: str, folder: Path) -> None:
    """The packages that valkey-server needs, all of them: apt is told that nothing is installed."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    apt = partial / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={_KEYS}] {mirror} {_SUITE} main\n")
    options = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
    }
    get = ["apt-get", "--yes", *(f"--option={key}={value}" for key, value in options.items())]
    for words in (["update"], ["install", "--download-only", "--no-install-recommends", "valkey-server"]):
        done = subprocess.run([*get, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"apt-get {words[0]} for Valkey: {done.stdout}{done.stderr}"
    for package in (apt / "cache" / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, partial], check=True, capture_output=True)
    shutil.rmtree(apt)
    partial.replace(folder)
