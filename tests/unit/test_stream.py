"""A market's ticks are the same bits, however they are asked for; and files say what the arrays say."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.errors import SimulationError
from pseudofeed.market import Market
from pseudofeed.simulate.paths import TickBlock
from pseudofeed.simulate.state import MarketState
from pseudofeed.simulate.stream import advance, stream

STEPS = 60
MARKET = Market.sample(instruments=150, factors=3, seed=11, step="1min")
WHOLE = MARKET.simulate(STEPS)
WORK = 150 + 4 * 3  # substeps that a step counts for


def equal(block: TickBlock, columns: np.ndarray | slice = slice(None)) -> bool:
    rows = slice(block.first_step, block.last_step + 1)
    steps = slice(block.first_step - 1, block.last_step)
    return (
        block.prices.tobytes() == np.ascontiguousarray(WHOLE.prices[rows, columns]).tobytes()
        and block.variances.tobytes() == np.ascontiguousarray(WHOLE.variances[rows, columns]).tobytes()
        and block.time.tobytes() == WHOLE.time[rows].tobytes()
        and block.factor_increments.tobytes() == WHOLE.factor_increments[steps].tobytes()
        and block.factor_levels.tobytes() == WHOLE.factor_levels[rows].tobytes()
    )


@settings(max_examples=40)
@given(data=st.data())
def test_blocks_starts_subsets_and_states_change_no_bit(data: st.DataObject) -> None:
    start = data.draw(st.integers(1, STEPS), label="start_step")
    steps = data.draw(st.integers(1, STEPS - start + 1), label="steps")
    block_steps = data.draw(st.integers(1, STEPS), label="block_steps")
    numbers = data.draw(st.sets(st.integers(0, 149), min_size=1), label="instruments")
    columns = np.array(sorted(numbers))
    threads = data.draw(st.sampled_from([1, 2, 3, None]), label="threads")
    blocks = list(
        MARKET.stream(start_step=start, steps=steps, block_steps=block_steps, instruments=columns, threads=threads)
    )
    assert sum(len(block.time) for block in blocks) == steps
    assert all(equal(block, columns) for block in blocks)
    resume = data.draw(st.sampled_from(blocks), label="resume behind")
    if resume.last_step < STEPS:
        (rest,) = MARKET.stream(
            start_step=resume.last_step + 1,
            steps=STEPS - resume.last_step,
            block_steps=STEPS,
            instruments=columns,
            state=resume.state,
        )
        assert equal(rest, columns)


def test_a_day_moves_some_per_cent() -> None:
    """Annual parameters at 1 s steps: not a hundred dollars to nothing in ten minutes."""
    market = Market.sample(instruments=200, step="1min")
    day = market.simulate(1440)
    moves = np.abs(np.log(day.prices[-1] / day.prices[0]))
    assert 0.005 < np.median(moves) < 0.03
    assert moves.max() < 0.2


def test_csv_reads_back_to_the_same_doubles(tmp_path: Path) -> None:
    paths = MARKET.simulate(5)
    paths.to_csv(tmp_path / "out")
    tmp_path = tmp_path / "out"
    assert len(list(tmp_path.glob("*.csv"))) == 151
    frame = pd.read_csv(tmp_path / "ALFA.csv")
    assert list(frame.columns) == ["timestamp", "price", "variance"]
    assert frame["price"].to_numpy().tobytes() == paths.prices[1:, 0].tobytes()
    assert frame["variance"].to_numpy().tobytes() == paths.variances[1:, 0].tobytes()
    assert (pd.to_datetime(frame["timestamp"]).astype("int64") * (10**9 if len(frame) == 0 else 1)).notna().all()
    assert frame["timestamp"][0] == "2026-03-02T14:31:00Z"
    factors = pd.read_csv(tmp_path / "factors.csv")
    for k, name in enumerate(paths.factor_names):
        assert factors[f"{name}_increment"].to_numpy().tobytes() == paths.factor_increments[:, k].tobytes()
        assert factors[f"{name}_level"].to_numpy().tobytes() == paths.factor_levels[1:, k].tobytes()


def test_parquet_holds_a_row_a_tick(tmp_path: Path) -> None:
    paths = MARKET.simulate(5)
    paths.to_parquet(tmp_path / "ticks.parquet")
    frame = pd.read_parquet(tmp_path / "ticks.parquet")
    assert len(frame) == 5 * 150
    one = frame[frame["symbol"] == "BRVO"]
    assert one["sequence"].tolist() == [1, 2, 3, 4, 5]
    assert one["price"].to_numpy().tobytes() == paths.prices[1:, 1].tobytes()
    assert one["time"].iloc[0] == pd.Timestamp("2026-03-02T14:31:00Z")


def test_pandas_frame_is_wide() -> None:
    frame = WHOLE.to_pandas()
    assert frame["price"].shape == (STEPS + 1, 150)
    assert frame["price"]["ALFA"].to_numpy().tobytes() == np.ascontiguousarray(WHOLE.prices[:, 0]).tobytes()
    assert frame.index[0] == pd.Timestamp("2026-03-02T14:30:00Z")


def test_a_long_stream_keeps_a_flat_memory() -> None:
    process, sizes = psutil.Process(), []
    for number, _ in enumerate(MARKET.stream(steps=400_000, block_steps=436)):  # 60 million ticks, 1 GB of them
        if number % 100 == 99:
            sizes.append(process.memory_info().rss)
    assert len(sizes) > 5
    assert max(sizes) - sizes[0] < 4 << 20


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="start_step is 0; allowed are integers"):
        MARKET.stream(start_step=0)
    with pytest.raises(ValueError, match="instruments: expected ascending numbers from 0 to 149"):
        MARKET.stream(instruments=[3, 3])
    block = next(MARKET.stream(block_steps=1))
    arrays = dict(block.state.arrays)
    arrays["price"][7] = np.nan
    with pytest.raises(ValueError, match=r"state\.price\[7\] is nan"):
        next(MARKET.stream(start_step=2, state=MarketState(1, arrays)))
    arrays = {"price": block.state.arrays["price"], "factor_level": block.state.arrays["factor_level"]}
    with pytest.raises(ValueError, match="state: it has no array 'variance'; it has 'price', 'factor_level'"):
        next(MARKET.stream(start_step=2, state=MarketState(1, arrays)))
    fine = Market.sample(instruments=150, step="1ns", start="2026-03-02T14:30:00Z")
    with pytest.raises(ValueError, match="do not fit in memory"):
        fine.simulate(10**12)


def test_the_state_is_the_same_however_it_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    block = next(MARKET.stream(steps=40, block_steps=40))
    early = block.part(0, 15).state
    monkeypatch.setattr("pseudofeed.simulate.stream._WALK_SUBSTEPS", 7 * WORK)
    for start in (None, early):
        state = advance(MARKET, start, 40)
        assert state.step == 40
        assert {name: array.tobytes() for name, array in state.arrays.items()} == {
            name: array.tobytes() for name, array in block.state.arrays.items()
        }
    assert advance(MARKET, early, 3).step == 15


def test_a_long_walk_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pseudofeed.simulate.stream._WALK_SUBSTEPS", 10 * WORK)
    asked: list[int] = []

    def going_on(step: int) -> bool:
        asked.append(step)
        return step < 30

    assert advance(MARKET, None, 1_000, going_on=going_on).step == 30
    assert list(dict.fromkeys(asked)) == [0, 10, 20, 30]


def test_a_stop_is_heard_in_the_middle_of_a_step_and_from_another_thread() -> None:
    """A step takes some ten seconds: 10,000 instruments of 65,536 substeps each."""
    slow = Market.loads("""
market = { name = "slow", seed = 1 }
clock = { start = 2026-03-02T14:30:00Z }
simulation = { substeps = 65_536 }
factors = { names = ["f"], volatilities = [0.1] }
instruments = { count = 10_000 }
""")
    begin = time.monotonic()
    assert advance(slow, None, 5, going_on=lambda _step: time.monotonic() < begin + 0.2).step == 0
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        blocks = thread.submit(list, stream(slow, stopping=stop.is_set))
        time.sleep(0.2)
        stop.set()
        assert blocks.result() == []
    assert time.monotonic() - begin < 4.0  # 0.5 s on an idle machine


@pytest.mark.parametrize("block_steps", [1, 7, 40])
def test_without_an_end_the_stream_goes_as_far_as_the_clock(block_steps: int) -> None:
    market = Market.loads("""
market = { name = "short", seed = 1 }
factors = { names = ["f"], volatilities = [0.1] }
instruments = { count = 3 }
[clock]
start = 2026-03-02T14:30:00Z
step = "1h"
calendar = "OWN"
[clock.timetable]
regular_session = "360min"
until = "2026-03-04T00:00:00Z"
weekdays = "Mon Tue Wed Thu Fri"
hours = ["2026-03-02 14:30/20:30"]
""")
    assert market.clock.last_known_step == 12
    seen: list[TickBlock] = []
    with pytest.raises(
        SimulationError, match="step 13 of a market from 2026-03-02T14:30:00Z lies beyond its timetable"
    ):
        seen.extend(market.stream(block_steps=block_steps))
    assert sum(len(block.time) for block in seen) == seen[-1].last_step == 12


def test_a_stream_that_cannot_begin_says_so_before_it_walks() -> None:
    days = Market.sample(step="1d")
    with pytest.raises(SimulationError, match="64-bit nanoseconds end"):
        days.stream(start_step=10**9)
