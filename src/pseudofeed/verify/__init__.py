"""Simulates a market again, and compares every stage with the simulation, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.errors import SettingsError
from pseudofeed.market import Market
from pseudofeed.records import STATE, Kind, Shape, kinds_of
from pseudofeed.settings import Connections
from pseudofeed.verify.report import Difference, StageTally, VerifyReport

__all__ = ["STAGES", "Difference", "StageTally", "VerifyReport", "verify_market"]

STAGES = ("kafka", "redis", "postgres")


def verify_market(
    record: MarketRecord,
    connections: Connections,
    *,
    stages: Sequence[str] | None = None,
    steps: int | None = None,
) -> VerifyReport:
    """Compare the data of a market in `stages` (default: all three) with its simulation.

    steps: the steps 1 to `steps` must be there, and no others. Default: the newest step found in any of the stages.
    Run it when feed and workers are idle: ticks that are still on their way count as missing.

    Raises SettingsError for an unknown stage or one whose server is not set, ServerError if one does not answer.
    """
    from pseudofeed.verify.kafka import compare_kafka, newest_kafka
    from pseudofeed.verify.postgres import compare_postgres, newest_postgres
    from pseudofeed.verify.redis import compare_redis, newest_redis
    from pseudofeed.verify.state import compare_state

    chosen = STAGES if stages is None else tuple(stage for stage in STAGES if stage in stages)
    unknown = set(stages or ()) - set(STAGES)
    if unknown:
        raise SettingsError(f"stage {', '.join(sorted(unknown))}: the stages are {', '.join(STAGES)}")
    required = {
        "kafka": connections.require_kafka,
        "redis": connections.require_redis,
        "postgres": connections.require_postgres,
    }
    for stage in chosen:
        required[stage]()
    kinds = {
        "kafka": _kinds(record.market, stored=False),
        "postgres": _kinds(record.market, stored=True),
    }
    newest: dict[str, Callable[[], int]] = {
        "kafka": lambda: newest_kafka(record, connections, kinds["kafka"]),
        "redis": lambda: newest_redis(record, connections),
        "postgres": lambda: newest_postgres(record, connections, kinds["postgres"]),
    }
    last_step = steps if steps is not None else max(newest[stage]() for stage in chosen)
    compare: dict[str, Callable[..., None]] = {}
    for stage in chosen:
        if stage == "redis":
            compare[stage] = partial(compare_redis, record, connections, last_step=last_step)
            continue
        against = compare_kafka if stage == "kafka" else compare_postgres
        for number, kind in enumerate(kinds[stage]):
            name = f"{stage}_{kind.topic}" if number else stage
            compare[name] = partial(against, record, connections, kind, last_step=last_step)
        if stage == "kafka":
            compare[f"kafka_{STATE.topic}"] = partial(compare_state, record, connections, last_step=last_step)
    report = VerifyReport(record.name, last_step, {name: StageTally() for name in compare})
    for name, run in compare.items():
        run(tally=report.stages[name])
    return report


def _kinds(market: Market, *, stored: bool) -> list[Kind]:
    """The kinds whose rows are all compared. Of a checkpoint only the newest counts: see state.py."""
    return [
        kind
        for kind in kinds_of(market)
        if kind.verified and kind.shape is not Shape.CHECKPOINT and (kind.table is not None or not stored)
    ]
