"""Commands that real servers must answer or refuse: names that are not there, passwords that are wrong, old names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from live.commands import market_file
from live.pipe import Until, fed_market
from pseudofeed import cli
from pseudofeed.cache.worker import cache_market
from pseudofeed.settings import Connections
from pseudofeed.store.worker import store_market


class Command:
    """The command in this process, with the settings of `connections`."""

    def __init__(
        self, connections: Connections, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._patch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("PSEUDOFEED_POSTGRES", connections.require_postgres())

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self._patch.setattr(sys, "argv", ["pseudofeed", *(str(argument) for argument in arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
        out, err = self._capsys.readouterr()
        assert isinstance(code, int)
        return code, out, err

    def refused(self, *arguments: str | Path, lines: int = 6) -> str:
        code, out, err = self(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("pseudofeed: ")
        assert err.count("\n") <= lines
        return err


@pytest.fixture
def command(
    plain_connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(plain_connections, monkeypatch, capsys)


def test_what_is_not_there_is_named_and_what_is_there_is_printed(
    plain_connections: Connections, market_name: str, command: Command, tmp_path: Path
) -> None:
    record = fed_market(plain_connections, market_name, steps=50)
    unknown = command.refused("verify", f"{market_name[:-1]}!")
    assert f"'{market_name[:-1]}!'" in unknown
    assert market_name in unknown  # did you mean
    assert 'no instrument "ALFFA"; did you mean ALFA' in command.refused("latest", market_name, "ALFFA")
    assert 'no instrument "NOPE"' in command.refused("ticks", market_name, "NOPE")
    changed = market_file(tmp_path, market_name, seed=99)
    text = command.refused("feed", changed, "--steps", "10", lines=40)
    assert f"market {market_name} is registered with other values" in text
    assert "seed: 11 -> 99" in text

    cache_market(record, plain_connections, Until())
    store_market(record, plain_connections, Until())
    (block,) = record.market.stream(start_step=50, steps=1)
    code, out, err = command("latest", market_name, "BRVO", "ALFA", "--json")
    assert (code, err) == (0, "")
    quotes = json.loads(out.splitlines()[-1])["quotes"]
    assert [(quote["symbol"], quote["sequence"], quote["price"], quote["variance"]) for quote in quotes] == [
        (record.market.symbols[i], 50, block.prices[0, i], block.variances[0, i]) for i in (1, 0)
    ]
    assert quotes[0]["time"] == "2026-03-02T14:30:50Z"
    code, out, _ = command("latest", market_name)
    assert (code, out.count("\n")) == (0, 21)
    assert all(repr(float(price)) in out for price in block.prices[0])  # to the last digit, not cut to a width
    code, out, _ = command("ticks", market_name, "ALFA", "--start", "2026-03-02T14:30:50Z")
    assert (code, out.splitlines()[0]) == (0, "time,price,variance")
    assert out.splitlines()[1:] == [f"2026-03-02 14:30:50+00:00,{block.prices[0, 0]!s},{block.variances[0, 0]!s}"]
    code, again, _ = command(
        "ticks", market_name, "ALFA", "--start", "2026-03-02T14:30:50Z", "--end", "2026-03-02T14:30:51Z",
        "--source", "simulation",
    )  # fmt: skip
    assert (code, again) == (0, out)
    code, _, err = command("ticks", market_name, "ALFA", "--source", "simulation")
    assert (code, "--end" in err) == (2, True)
    code, out, _ = command("bars", market_name, "ALFA", "--every", "10s", "--start", "2026-03-02T14:30:40Z", "--json")
    assert code == 0
    rows = json.loads(out)["bars"]
    assert [(row["time"], row["Volume"]) for row in rows] == [
        ("2026-03-02T14:30:40Z", 10), ("2026-03-02T14:30:50Z", 1),
    ]  # fmt: skip
    assert rows[1]["Close"] == block.prices[0, 0]
    code, out, _ = command("bars", market_name, "ALFA")
    assert (code, out.splitlines()[0]) == (0, "time,Open,High,Low,Close,Volume")
    code, _, err = command("bars", market_name, "ALFA", "--every", "fortnight")
    assert (code, "fortnight" in err) == (2, True)
    _, out, _ = command("market", "list", "--json")  # 1 where somebody else's record cannot be read
    assert {"name": market_name, "instruments": 20, "factors": 2, "partitions": 3} in json.loads(out)["markets"]
    code, out, _ = command("market", "show", market_name)
    assert json.loads(out)["specification"] == record.specification


def test_wrong_passwords_are_named_without_them(
    connections: Connections, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = market_file(tmp_path, "never-made")
    where = conninfo_to_dict(connections.require_postgres())
    # No such user: a server that trusts everybody refuses it too.
    dsn = f"host={where['host']} port={where['port']} dbname={where['dbname']} user=ann password=marker-word"
    monkeypatch.setenv("PSEUDOFEED_POSTGRES", dsn)
    refusal = command.refused("run", file)
    assert f"PostgreSQL at {where['host']}:{where['port']}" in refusal
    assert "ann" in refusal
    assert "PSEUDOFEED_POSTGRES" in refusal
    url = connections.require_redis()
    assert "@" not in url, "the test sets its own user"
    monkeypatch.setenv("PSEUDOFEED_REDIS", url.replace("://", "://ann:marker-word@"))
    refusal += command.refused("run", file)
    assert f"Redis at {connections.describe_redis()}" in refusal
    assert "PSEUDOFEED_REDIS" in refusal
    assert "marker-word" not in refusal
