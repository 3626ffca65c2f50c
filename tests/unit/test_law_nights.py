"""What a night does: its variance is in the opening return, and no cut of the run changes a bit of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pseudofeed.errors import SimulationError
from pseudofeed.market import Market

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

STEPS = 60  # half hours: four and a half sessions of New York


def market(
    night: float, *, instruments: int = 70, step: str = "30min", scheme: str = "euler", parameters: str = ""
) -> Market:
    return Market.loads(f"""
        market = {{ name = "nights", seed = 5 }}
        clock = {{ start = 2026-03-04T16:00:00Z, step = "{step}", calendar = "XNYS", overnight_variance = {night} }}
        simulation = {{ scheme = "{scheme}", substeps = 2 }}
        [factors]
        names = ["f", "g"]
        volatilities = [0.16, 0.08]
        correlations = [[1, 0.4], [0.4, 1]]
        drifts = [0.05, 0.0]
        [instruments]
        count = {instruments}
        [instruments.defaults]
        {parameters}
    """)


WHOLE_MARKET = market(0.5)
WHOLE = WHOLE_MARKET.simulate(STEPS)


@settings(max_examples=40)
@given(data=st.data())
def test_blocks_starts_subsets_and_states_change_no_bit(data: st.DataObject) -> None:
    start = data.draw(st.integers(1, STEPS), label="start_step")
    steps = data.draw(st.integers(1, STEPS - start + 1), label="steps")
    block_steps = data.draw(st.integers(1, STEPS), label="block_steps")
    columns = np.array(sorted(data.draw(st.sets(st.integers(0, 69), min_size=1), label="instruments")))
    blocks = list(WHOLE_MARKET.stream(start_step=start, steps=steps, block_steps=block_steps, instruments=columns))
    resume = data.draw(st.sampled_from(blocks), label="resume behind")
    if resume.last_step < STEPS:
        first = resume.last_step + 1
        blocks += WHOLE_MARKET.stream(start_step=first, steps=1, instruments=columns, state=resume.state)
    for block in blocks:
        rows = slice(block.first_step, block.last_step + 1)
        increments = WHOLE.factor_increments[block.first_step - 1 : block.last_step]
        assert block.prices.tobytes() == np.ascontiguousarray(WHOLE.prices[rows, columns]).tobytes()
        assert block.variances.tobytes() == np.ascontiguousarray(WHOLE.variances[rows, columns]).tobytes()
        assert block.factor_increments.tobytes() == increments.tobytes()
        assert block.factor_levels.tobytes() == WHOLE.factor_levels[rows].tobytes()
        assert block.time.tobytes() == WHOLE.time[rows].tobytes()


def test_levels_are_the_running_sums_of_the_increments() -> None:
    assert WHOLE.factor_levels[1:].tobytes() == np.cumsum(WHOLE.factor_increments, axis=0).tobytes()


def test_no_tick_lies_outside_of_a_session() -> None:
    calendars = pytest.importorskip("exchange_calendars")
    calendar = calendars.get_calendar("XNYS", start="2026-03-01", end="2026-04-01")
    session = np.searchsorted(calendar.opens_nanos, WHOLE.time, side="right") - 1
    assert (WHOLE.time <= calendar.closes_nanos[session]).all()


def test_without_variance_a_night_changes_nothing_and_with_it_only_what_follows() -> None:
    without = market(0.0).simulate(STEPS)
    first = int(np.flatnonzero(WHOLE_MARKET.clock.gaps(0, STEPS))[0])
    assert WHOLE.prices[:first].tobytes() == without.prices[:first].tobytes()
    assert (WHOLE.prices[first] != without.prices[first]).all()
    assert (WHOLE.factor_increments[first - 1] != without.factor_increments[first - 1]).all()
    trading = np.delete(np.arange(STEPS), np.flatnonzero(WHOLE_MARKET.clock.gaps(1, STEPS)))
    assert WHOLE.factor_increments[trading].tobytes() == without.factor_increments[trading].tobytes()


@pytest.mark.parametrize("scheme", ["euler", "qe"])
def test_the_opening_return_has_the_nights_variance(scheme: str) -> None:
    night, n, total = 0.75, 40_000, 0.09 + 0.04
    constant = "initial_variance = 0.09\ntheta = 0.09\nxi = 0\ndrift = 0.05\n"
    some = market(
        night,
        instruments=n,
        scheme=scheme,
        parameters=constant + "idiosyncratic_volatility = 0.2\nfactor_loadings = 0",
    )
    paths, gaps = some.simulate(26), some.clock.gaps(1, 26)
    assert gaps.sum() == 2
    returns = np.diff(np.log(paths.prices), axis=0)
    years = some.clock.dt + np.where(gaps, night / 252, 0.0)
    assert np.abs((returns**2).mean(axis=1) / (total * years) - 1).max() < 4 * np.sqrt(2 / n)
    assert np.abs((returns.mean(axis=1) - (0.05 - total / 2) * years) / np.sqrt(total * years / n)).max() < 4
    for before, after in pairwise(returns):  # the night's draws are its own
        assert abs(np.corrcoef(before, after)[0, 1]) < 4 / np.sqrt(n)


def test_factors_move_overnight_as_by_day() -> None:
    days, night = 4_000, 0.6
    daily = market(night, instruments=1, step="390min")
    (block,) = daily.stream(start_step=2, steps=days, block_steps=days)
    assert daily.clock.gaps(2, days).all()
    years = (1 + night) / 252
    increments = block.factor_increments
    assert np.allclose(increments.std(axis=0), np.array([0.16, 0.08]) * np.sqrt(years), rtol=4 / np.sqrt(2 * days))
    assert abs(np.asarray(np.corrcoef(increments.T))[0, 1] - 0.4) < 4 / np.sqrt(days)
    assert np.allclose(increments.mean(axis=0), np.array([0.05, 0.0]) * years, atol=4 * 0.16 * np.sqrt(years / days))


def test_a_price_that_a_night_breaks_is_named() -> None:
    """An own volatility of 10,000 % and nights of 100 sessions: the first one leaves nothing of the price."""
    wild = market(100.0, instruments=1, parameters="initial_price = 1000\nidiosyncratic_volatility = 100")
    with pytest.raises(SimulationError, match="instrument ALFA left its range in the night before step 11:"):
        wild.simulate(60)
