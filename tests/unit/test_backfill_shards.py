"""Which steps a backfill has to do, its rows, and its Parquet files: all that needs no server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.errors import LibraryError, SettingsError
from pseudofeed.market import Market
from pseudofeed.records import FACTOR, TICK, Columns
from pseudofeed.simulate.stream import advance
from pseudofeed.store.backfill.bounds import steps_between
from pseudofeed.store.backfill.claims import Claim, _held, _held_by_all
from pseudofeed.store.backfill.files import day_files, write_day_files
from pseudofeed.store.backfill.rows import Shard, shard_rows
from pseudofeed.store.backfill.run import Section, shared_out
from pseudofeed.store.backfill.steps import intersect, merge, outside, subtract
from pseudofeed.store.registry import StoredMarket
from pseudofeed.store.upkeep import reached_step

MARKET = Market.sample(instruments=5, factors=2, seed=3, name="bf", step="1h", start="2026-03-02T14:30:00Z")


def _always() -> bool:
    return True


def test_ranges_are_sets_of_steps() -> None:
    assert merge([(5, 6), (1, 2), (3, 3), (9, 8), (6, 7)]) == [(1, 3), (5, 7)]
    assert subtract([(1, 10)], [(3, 4), (8, 20)]) == [(1, 2), (5, 7)]
    assert subtract([(3, 4)], [(1, 9)]) == []
    assert intersect([(1, 3), (5, 7)], 3, 5) == [(3, 3), (5, 5)]
    assert outside(np.arange(1, 9), [(2, 3), (7, 7)]).tolist() == [True, False, False, True, True, True, False, True]


def _stored(record: MarketRecord) -> StoredMarket:
    return StoredMarket(1, record, np.arange(10, 15, dtype=np.int32), np.arange(2, dtype=np.int32))


def test_what_the_stream_had_is_left_out_to_the_tick() -> None:
    """Partition by partition, and of a newest step that came in single ticks only what had come."""
    market = _stored(MarketRecord("bf", dict(MARKET.specification), 1, 1, MARKET.fingerprint))
    held = _held(market, TICK, [["tick", 0, 3, 7, 1], ["factor", 0, 1, 9, None]])
    assert held.first.tolist() == [3] * 5
    assert held.last.tolist() == [7, 7, 6, 6, 6]
    steps, numbers = np.array([2, 3, 7, 7, 8]), np.array([0, 4, 1, 2, 0], np.int32)
    assert held.lacks(Columns(TICK, steps, steps, numbers, steps, steps)).tolist() == [True, False, False, True, True]
    assert _held(market, FACTOR, [["tick", 0, 3, 7, 1]]).any is False
    assert _held_by_all(market, [["tick", 0, 3, 7, 1], ["factor", 0, 1, 9, None]]) == (3, 6)
    nothing = _held_by_all(market, [["tick", 0, 3, 7, 1]])
    assert nothing[0] > nothing[1], "the factors are not there"


def test_connections_share_what_is_left_evenly() -> None:
    held = _held(_stored(MarketRecord("bf", dict(MARKET.specification), 1, 1, MARKET.fingerprint)), TICK, [])
    claims = [Claim(1, 30, [(11, 20)], {TICK: held}), Claim(50, 59, [], {TICK: held})]
    sections = [Section(claim, *part) for claim in claims for part in claim.left(1, 55)]
    for writers in (1, 2, 3, 7, 40):
        parts = shared_out(sections, writers)
        steps = [[s for section in part for s in range(section.first, section.last + 1)] for part in parts]
        assert [s for part in steps for s in part] == [*range(1, 11), *range(21, 31), *range(50, 56)]
        assert max(map(len, steps)) - min(map(len, steps)) <= 1
        assert len(parts) == min(writers, 26)
    assert shared_out([], 2) == []


@pytest.mark.parametrize("batch_steps", [1, 7, 1_000])
def test_rows_do_not_depend_on_how_they_are_cut(batch_steps: int) -> None:
    paths = MARKET.simulate(60)
    state = advance(MARKET, None, 20)
    found = list(shard_rows(MARKET, Shard(21, 60, batch_steps), state=state))
    assert [rows.first for rows in found] == list(range(21, 61, batch_steps))
    for name, expected in (("price", paths.prices[21:]), ("variance", paths.variances[21:])):
        values = np.concatenate([rows.rows[TICK][name] for rows in found])
        assert values.tobytes() == expected.tobytes()
    for name, expected in (("increment", paths.factor_increments[20:]), ("level", paths.factor_levels[21:])):
        values = np.concatenate([rows.rows[FACTOR][name] for rows in found])
        assert values.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert np.concatenate([rows.rows[TICK].time for rows in found]).tolist() == np.repeat(paths.time[21:], 5).tolist()


START_NS = MARKET.clock.start_ns
HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize(
    ("begin", "end", "steps"),
    [
        (None, None, (1, 100)),
        ("5", "7", (5, 7)),
        (None, "2026-03-02T15:30Z", (1, 0)),
        ("2026-03-02T14:30Z", "2026-03-02T15:30:00.000001Z", (1, 1)),
        ("2026-03-02T15:30Z", "2026-03-02T17:30Z", (1, 2)),
        ("2026-03-02 15:30:01", "2026-03-02T18:00Z", (2, 3)),
    ],
)
def test_steps_and_times_bound_a_range(begin: str | None, end: str | None, steps: tuple[int, int]) -> None:
    if steps[1] < steps[0]:
        with pytest.raises(SettingsError, match="has no tick before that"):
            steps_between(MARKET, begin, end)
    else:
        assert steps_between(MARKET, begin, end, now_ns=START_NS + 100 * HOUR_NS + 1) == steps


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [
        ("9", "8", "--from (9) begins at step 9, --to (8) ends at step 8: there is no step between them"),
        ("0", None, "--from is step 0; the first step is 1 (step 0 is the start, and no tick)"),
        (None, "0", "--to is step 0; the first step is 1 (step 0 is the start, and no tick)"),
        (
            "2026-03-01",
            None,
            "--from is 2026-03-01, but market bf starts at 2026-03-02T14:30:00Z, and there is",
        ),
        (None, "2026-03-01", "--to is 2026-03-01, but market bf starts at 2026-03-02T14:30:00Z, and has no tick"),
        ("soon", None, "--from is 'soon', which is not a time"),
        ("200", None, "--from is 200, and no step lies between that and the present: set --to"),
    ],
)
def test_ranges_that_the_market_does_not_have_are_refused(begin: str | None, end: str | None, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        steps_between(MARKET, begin, end, now_ns=START_NS + 100 * HOUR_NS)
    assert str(caught.value).startswith(message)


def test_ages_count_from_what_is_there_without_a_gap() -> None:
    assert reached_step(None, []) == 0
    assert reached_step(7, []) == 7
    assert reached_step(7, [(8, 10), (11, 20), (30, 40)]) == 20
    assert reached_step(7, [(1, 3), (9, 20)]) == 7
    assert reached_step(None, [(100, 200), (300, 400)]) == 200


# --- Parquet ---------------------------------------------------------------------------------------------------------


def _read(folder: Path) -> Any:
    from pyarrow import dataset

    return dataset.dataset(folder, format="parquet").to_table().sort_by([("sequence", "ascending")]).to_pandas()


def test_a_file_a_day_resumed_and_widened(tmp_path: Path) -> None:
    files = day_files(MARKET, tmp_path, 3, 40)
    assert [(str(file.path.relative_to(tmp_path)), file.first, file.last) for file in files] == [
        ("day=2026-03-02/bf.parquet", 3, 9),
        ("day=2026-03-03/bf.parquet", 10, 33),
        ("day=2026-03-04/bf.parquet", 34, 40),
    ]
    asked: list[int] = []

    def until_the_second() -> bool:
        asked.append(1)
        return files[0].path.exists() is False or len(asked) < 4

    complete, _ = write_day_files(MARKET, files, until_the_second)
    assert complete == 1
    assert not list(tmp_path.rglob("*.partial"))
    before = files[0].path.stat().st_mtime_ns
    files = day_files(MARKET, tmp_path, 3, 40)
    assert [file.complete for file in files] == [True, False, False]
    assert write_day_files(MARKET, files, _always) == (3, 31 * 5)
    assert files[0].path.stat().st_mtime_ns == before
    frame, paths = _read(tmp_path), MARKET.simulate(40)
    assert frame["sequence"].tolist() == np.repeat(np.arange(3, 41), 5).tolist()
    assert frame["price"].to_numpy().tobytes() == paths.prices[3:].tobytes()
    assert frame["variance"].to_numpy().tobytes() == paths.variances[3:].tobytes()
    # A day's file that lacks steps is rewritten, with those that it had.
    wider = day_files(MARKET, tmp_path, 1, 2)
    assert [(file.first, file.last, file.complete) for file in wider] == [(1, 9, False)]
    assert write_day_files(MARKET, wider, _always) == (1, 9 * 5)
    assert [file.complete for file in day_files(MARKET, tmp_path, 1, 40)] == [True] * 3


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    write_day_files(MARKET, day_files(MARKET, tmp_path, 1, 5), _always)
    changed = Market.sample(instruments=5, factors=2, seed=4, name="bf", step="1h", start="2026-03-02T14:30:00Z")
    with pytest.raises(SettingsError, match="another specification"):
        day_files(changed, tmp_path, 1, 5)
    file = tmp_path / "day=2026-03-02" / "bf.parquet"
    MARKET.simulate(3).to_parquet(file)
    with pytest.raises(SettingsError, match="is not a file of pseudofeed backfill"):
        day_files(MARKET, tmp_path, 1, 5)
    file.write_text("nothing")
    with pytest.raises(SettingsError, match="is not a file of pseudofeed backfill"):
        day_files(MARKET, tmp_path, 1, 5)


def test_without_pyarrow_it_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(LibraryError, match=r"pseudofeed\[arrow\]"):
        day_files(MARKET, tmp_path, 1, 5)
