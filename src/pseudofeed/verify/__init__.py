"""Simulate again, and compare every stage with it, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pseudofeed.bus.markets import MarketRecord
from pseudofeed.errors import SettingsError
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
    """Compare what `stages` (default: all three) hold of a market with its simulation.

    steps: the steps 1 to `steps` must be there, and no others; where it is not given, up to the newest that any of
    the stages has reached.
    Run it when feed and workers are at rest: what is still on its way counts as missing.

    Raises SettingsError for an unknown stage or one whose server is not set, ServerError where one does not answer.
    """
    from pseudofeed.verify.kafka import compare_kafka, compare_kafka_factors, newest_kafka
    from pseudofeed.verify.postgres import compare_postgres, compare_postgres_factors, newest_postgres
    from pseudofeed.verify.redis import compare_redis, newest_redis

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
    newest: dict[str, Callable[[MarketRecord, Connections], int]] = {
        "kafka": newest_kafka,
        "redis": newest_redis,
        "postgres": newest_postgres,
    }
    compare: dict[str, Callable[[MarketRecord, Connections, StageTally, int], None]] = {
        "kafka": compare_kafka,
        "kafka_factors": compare_kafka_factors,
        "redis": compare_redis,
        "postgres": compare_postgres,
        "postgres_factors": compare_postgres_factors,
    }
    last_step = steps if steps is not None else max(newest[stage](record, connections) for stage in chosen)
    parts = [part for part in compare if part.removesuffix("_factors") in chosen]
    report = VerifyReport(record.name, last_step, {part: StageTally() for part in parts})
    for part in parts:
        compare[part](record, connections, report.stages[part], last_step)
    return report
