"""The topic of market records: the first record after a name's tombstone stands, and nothing damaged is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer as PlainProducer

from pseudofeed.bus.markets import drop_market, read_market, read_markets, register_market
from pseudofeed.bus.reader import TopicReader
from pseudofeed.bus.topics import MARKETS_TOPIC
from pseudofeed.errors import MalformedMessage, MarketChanged, UnknownMarket
from pseudofeed.market import Market
from pseudofeed.publish._publish import MockCluster


@pytest.fixture
def kafka() -> Iterator[dict[str, str]]:
    with MockCluster() as cluster:
        cluster.create_topic(MARKETS_TOPIC, 1)
        yield {"bootstrap.servers": cluster.bootstrap_servers}


def sample(name: str = "demo", *, seed: int = 7) -> Market:
    return Market.sample(instruments=3, name=name, seed=seed)


def write(kafka: dict[str, str], name: str, value: bytes) -> None:
    producer = PlainProducer(kafka)
    producer.produce(MARKETS_TOPIC, key=name, value=value)
    assert producer.flush(10) == 0


def all_values(kafka: dict[str, str]) -> list[bytes | None]:
    with TopicReader(kafka) as reader:
        return [message.value() for message in reader.read(MARKETS_TOPIC, {0: 0})]


def test_a_market_is_registered_once_and_read_back_as_it_is(kafka: dict[str, str]) -> None:
    record = register_market(kafka, sample(), 3)
    assert register_market(kafka, sample(), 3) == record
    assert register_market(kafka, sample()) == record
    assert read_market(kafka, "demo") == record
    assert len(all_values(kafka)) == 1
    assert record.partitions == 3
    assert record.market.fingerprint == sample().fingerprint
    assert register_market(kafka, sample("another")).partitions == 4
    assert list(read_markets(kafka)) == ["another", "demo"]


def test_a_changed_market_is_refused_until_it_is_dropped(kafka: dict[str, str]) -> None:
    first = register_market(kafka, sample(), 4)
    with pytest.raises(MarketChanged, match=r"seed: 7 -> 8(.|\n)*partitions: 4 -> 5"):
        register_market(kafka, sample(seed=8), 5)
    drop_market(kafka, "demo")
    with pytest.raises(UnknownMarket, match="none is registered"):
        read_market(kafka, "demo")
    again = register_market(kafka, sample(seed=8), 5)
    assert again.epoch >= first.epoch
    assert read_market(kafka, "demo") == again


def test_a_market_that_starts_now_keeps_its_first_start(kafka: dict[str, str]) -> None:
    market = Market.sample(instruments=3, name="live", start="now")
    first = register_market(kafka, market)
    assert not first.market.start_is_now
    assert first.market.clock.start_ns % 1_000_000_000 == 0
    assert register_market(kafka, market) == first


def test_of_two_that_register_at_once_the_first_stands_and_is_written_last(kafka: dict[str, str]) -> None:
    first = register_market(kafka, sample())
    # What a second program leaves that did not see the first record before it wrote its own, and then died.
    with MockCluster() as other:
        other.create_topic(MARKETS_TOPIC, 1)
        late = register_market({"bootstrap.servers": other.bootstrap_servers}, sample(seed=8))
    write(kafka, "demo", late.to_json())
    assert read_market(kafka, "demo") == first
    assert register_market(kafka, sample()) == first
    # Compaction keeps the last record of a key: it must be the one that stands.
    assert all_values(kafka) == [first.to_json(), late.to_json(), first.to_json()]


def test_an_unknown_name_is_told_with_close_ones(kafka: dict[str, str]) -> None:
    register_market(kafka, sample())
    with pytest.raises(UnknownMarket, match="did you mean demo"):
        read_market(kafka, "demi")
    with pytest.raises(UnknownMarket, match="known are demo"):
        read_market(kafka, "zzz")


def test_a_damaged_record_is_an_error_with_its_offset(kafka: dict[str, str]) -> None:
    record = register_market(kafka, sample())
    altered = json.loads(record.to_json())
    altered["specification"]["market"]["seed"] = 8
    write(kafka, "altered", json.dumps(altered | {"name": "altered"}).encode())
    with pytest.raises(MalformedMessage, match=r"pseudofeed\.markets, offset 1, market 'altered': its fingerprint"):
        read_market(kafka, "altered")
    assert read_market(kafka, "demo") == record
    write(kafka, "cut", record.to_json()[:-5])
    with pytest.raises(MalformedMessage, match="offset 2, market 'cut'"):
        read_market(kafka, "cut")
    listed = read_markets(kafka)
    assert list(listed) == ["altered", "cut", "demo"]
    assert listed["demo"] == record  # not hidden by the others
    assert "offset 2, market 'cut'" in str(listed["cut"])
