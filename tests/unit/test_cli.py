"""The command line without a server: wrong use is one short message and exit code 2, and no secret is ever shown."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pseudofeed import cli

MARKET = """
[market]
name = "demo"
[clock]
start = 2026-03-02T14:30:00Z
step = "{step}"
[factors]
names = ["market"]
volatilities = [{volatility}]
correlations = [[1.0]]
[instruments]
count = 3
[instruments.defaults]
rho = {rho}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def nobody() -> Iterator[str]:
    """host:port where nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody listens
        yield f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA", "REDIS", "POSTGRES"):
        monkeypatch.delenv(f"PSEUDOFEED_{name}", raising=False)
    (tmp_path / "market.toml").write_text(MARKET.format(step="1s", volatility=0.2, rho=-0.6))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pseudofeed", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


def refused(result: tuple[int, str, str], *words: str, lines: int = 6) -> None:
    """Exit code 2, one short message with these words, nothing on standard output."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.count("\n") <= lines, err
    assert "Traceback" not in err
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--bogus", ["--bogus", "--help"]),
        ("frobnicate", ["frobnicate"]),
        ("verify", ["NAME"]),
        ("feed market.toml --rate 0", ["--rate", "0"]),
        ("feed market.toml --rate nan", ["--rate", "nan"]),
        ("run market.toml --speed inf", ["--speed", "inf"]),
        ("run market.toml --rate 5 --speed 2", ["--rate and --speed"]),
        ("feed market.toml --steps 0", ["--steps", "1"]),
        ("ticks demo ALFA --start rubbish", ["--start", "rubbish"]),
        ("feed nowhere.toml", ["nowhere.toml", "No such file"]),
        ("simulate market.toml --steps 2 --csv market.toml", ["market.toml is the market file"]),
        ("simulate market.toml --steps 2 --parquet market.toml", ["market.toml is the market file"]),
        ("simulate market.toml --steps 2 --parquet market.toml/x", ["market.toml"]),
    ],
)
def test_wrong_use_is_one_short_message(run: Run, arguments: str, words: list[str]) -> None:
    refused(run(*arguments.split()), *words)


def test_without_arguments_it_shows_what_there_is_and_help_is_no_error(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert run("--help") == (0, err, "")
    assert all(f"\n  {command} " in err for command in ("demo", "feed", "cache", "store", "run", "verify", "servers"))
    assert err.count("\n") < 40


def test_a_market_file_with_three_mistakes_names_all_three(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(MARKET.format(step="soon", volatility=-0.2, rho=1.5))
    for command in ("feed wrong.toml", "run wrong.toml", "simulate wrong.toml --steps 3"):
        refused(
            run(*command.split()), "wrong.toml", "clock.step", "soon", "factors.volatilities", "-0.2", "rho", "1.5",
            lines=8,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        ("feed market.toml", "KAFKA"),
        ("cache demo", "REDIS"),
        ("store demo", "POSTGRES"),
        ("run market.toml", "KAFKA"),
        ("verify demo", "KAFKA"),
        ("latest demo", "KAFKA"),
        ("market list", "KAFKA"),
    ],
)
def test_a_missing_setting_names_its_variable(run: Run, command: str, variable: str) -> None:
    refused(run(*command.split()), f"PSEUDOFEED_{variable}", "pseudofeed servers up")


@pytest.mark.parametrize(
    ("arguments", "server"),
    [
        ("feed market.toml", "Kafka"),
        ("verify demo", "Kafka"),
        ("run market.toml", "Redis"),
        ("cache demo", "Kafka"),
        ("run market.toml --cache-workers 0", "PostgreSQL"),
        ("latest demo", "PostgreSQL"),
    ],
)
def test_no_server_at_the_address_is_named_without_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nobody: str, arguments: str, server: str
) -> None:
    (tmp_path / "kafka.properties").write_text(
        f"bootstrap.servers={nobody}\nsasl.mechanism=PLAIN\nsecurity.protocol=SASL_PLAINTEXT\n"
        "sasl.username=ann\nsasl.password=marker-word\n"
    )
    monkeypatch.setenv("PSEUDOFEED_KAFKA", "kafka.properties")
    monkeypatch.setenv("PSEUDOFEED_REDIS", f"redis://ann:marker-word@{nobody}/0")
    monkeypatch.setenv("PSEUDOFEED_POSTGRES", f"postgresql://ann:marker-word@{nobody}/market")
    found = run(*arguments.split())
    refused(
        found,
        f"{server} at {nobody}",
        "refused",
        f"PSEUDOFEED_{'POSTGRES' if server == 'PostgreSQL' else server.upper()}",
    )
    assert "marker-word" not in "".join(found[1:])


@pytest.mark.parametrize(
    "option", ["--redis=redis://:marker-word@{}/0", "--postgres=postgresql://ann:marker-word@{}/m"]
)
def test_a_password_on_the_command_line_is_refused(run: Run, nobody: str, option: str) -> None:
    found = run("verify", "demo", "--kafka", nobody, option.format(nobody))
    refused(found, "password", "PSEUDOFEED_")
    assert "marker-word" not in "".join(found[1:])


def test_a_store_of_steps_below_a_microsecond_is_refused(run: Run, tmp_path: Path, nobody: str) -> None:
    (tmp_path / "fine.toml").write_text(MARKET.format(step="1500ns", volatility=0.2, rho=-0.6))
    servers = ("--kafka", nobody, "--redis", f"redis://{nobody}/0", "--postgres", f"postgresql://{nobody}/m")
    refused(run("run", "fine.toml", *servers), "1500ns", "microsecond")


def test_json_is_one_object_on_the_last_line(run: Run) -> None:
    code, out, err = run("simulate", "market.toml", "--steps", "5", "--csv", "out", "--json")
    found = json.loads(out.splitlines()[-1])
    assert (code, found["market"], found["ticks"], found["steps"], len(found["prices"]), err) == (
        0,
        "demo",
        15,
        5,
        3,
        "",
    )
    assert Path("out", "ALFA.csv").read_text().splitlines()[-1].split(",")[1] == repr(found["prices"]["ALFA"])
