#!/usr/bin/env python3
"""The pipeline that a competent user would write today: NumPy -> confluent-kafka -> redis-py pipeline + psycopg COPY.

usage: pipeline.py TICKS INSTRUMENTS json|struct
environment: PSEUDOFEED_KAFKA (host:port), PSEUDOFEED_REDIS (redis://...), PSEUDOFEED_POSTGRES (a libpq DSN, database with timescaledb)

One producer process, one process that keeps the newest quote of each symbol in Redis, one that copies every tick into a
hypertable with an index on (symbol, time). Prints ticks a second until the producer was done, until Redis was up to date, and
until the last row was committed. At least once, not exactly once.
"""

import datetime
import json
import multiprocessing
import os
import struct
import sys
import time
import uuid

import confluent_kafka as ck
import numpy as np
import psycopg
import redis
from confluent_kafka.admin import AdminClient, NewTopic

KAFKA = os.environ.get("PSEUDOFEED_KAFKA", "127.0.0.1:9092")
REDIS = os.environ.get("PSEUDOFEED_REDIS", "redis://127.0.0.1:6379")
POSTGRES = os.environ.get("PSEUDOFEED_POSTGRES", "host=127.0.0.1 user=postgres")
RECORD = struct.Struct("<qiqdd")
START_NS = 1_767_346_200_000_000_000


def steps(n, count, factors=3, seed=1):
    rng = np.random.default_rng(seed)
    dt = 1 / (252 * 23_400)
    cholesky = np.linalg.cholesky(np.full((factors, factors), 0.3) + 0.7 * np.eye(factors)) * np.sqrt(dt) * 0.1
    beta, price, variance = rng.normal(size=(n, factors)), np.full(n, 100.0), np.full(n, 0.04)
    root, tail = np.sqrt(dt), np.sqrt(1 - 0.49)
    for t in range(count):
        z = rng.standard_normal((2, n))
        v = np.maximum(variance, 0.0)
        sv = np.sqrt(v)
        price = price * np.exp(
            (0.05 - 0.5 * v) * dt + beta @ (cholesky @ rng.standard_normal(factors)) + sv * root * z[0]
        )
        variance = variance + 2 * (0.04 - v) * dt + 0.5 * sv * root * (-0.7 * z[0] + tail * z[1])
        yield t, price, v


def produce(topic, n, count, encoding):
    producer = ck.Producer(
        {
            "bootstrap.servers": KAFKA,
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "compression.type": "lz4",
            "enable.idempotence": True,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    symbols = [f"SYM{i:04d}" for i in range(n)]
    for t, price, variance in steps(n, count):
        ns, prices, variances = START_NS + t * 1_000_000_000, price.tolist(), variance.tolist()
        for i in range(n):
            if encoding == "json":
                value = json.dumps(
                    {"ts": ns, "symbol": symbols[i], "seq": t, "price": prices[i], "variance": variances[i]}
                )
            else:
                value = RECORD.pack(ns, i, t, prices[i], variances[i])
            while True:
                try:
                    producer.produce(topic, value, key=symbols[i])
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.poll(0)
    producer.flush()


def decode(message, encoding):
    if encoding == "json":
        tick = json.loads(message.value())
        return tick["ts"], tick["symbol"], tick["seq"], tick["price"], tick["variance"]
    ns, i, seq, price, variance = RECORD.unpack(message.value())
    return ns, f"SYM{i:04d}", seq, price, variance


def batches(topic, group, total, size):
    consumer = ck.Consumer(
        {
            "bootstrap.servers": KAFKA,
            "group.id": group + topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    seen = 0
    while seen < total:
        messages = consumer.consume(size, 0.2)
        if messages:
            yield messages
            consumer.commit(asynchronous=False)
            seen += len(messages)


def cache(topic, total, encoding, done):
    connection = redis.Redis.from_url(REDIS)
    for messages in batches(topic, "cache-", total, 5_000):
        newest = {}
        for message in messages:
            tick = decode(message, encoding)
            newest[tick[1]] = tick
        pipe = connection.pipeline(transaction=False)
        for symbol, (ns, _, seq, price, variance) in newest.items():
            pipe.hset("baseline:" + symbol, mapping={"ts": ns, "seq": seq, "price": price, "variance": variance})
        pipe.execute()
    done.put(("cache", time.time()))


def store(topic, total, encoding, done):
    with psycopg.connect(POSTGRES) as connection:
        for messages in batches(topic, "store-", total, 20_000):
            with connection.cursor().copy("COPY baseline_tick (time, symbol, seq, price, variance) FROM STDIN") as copy:
                for message in messages:
                    ns, symbol, seq, price, variance = decode(message, encoding)
                    copy.write_row(
                        (datetime.datetime.fromtimestamp(ns / 1e9, datetime.timezone.utc), symbol, seq, price, variance)
                    )
            connection.commit()
    done.put(("store", time.time()))


def main():
    ticks, n, encoding = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    count = ticks // n
    total = count * n
    topic = "baseline-" + uuid.uuid4().hex[:8]
    admin = AdminClient({"bootstrap.servers": KAFKA})
    admin.create_topics([NewTopic(topic, 4, 1)])[topic].result()
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS baseline_tick")
        connection.execute(
            "CREATE TABLE baseline_tick (time timestamptz NOT NULL, symbol text NOT NULL, seq int8 NOT NULL, price float8 NOT NULL, variance float8 NOT NULL)"
        )
        connection.execute("SELECT create_hypertable('baseline_tick', 'time', create_default_indexes => false)")
        connection.execute("CREATE INDEX ON baseline_tick (symbol, time DESC)")
    done = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=f, args=(topic, total, encoding, done)) for f in (cache, store)]
    for worker in workers:
        worker.start()
    time.sleep(4)
    start = time.time()
    producer = multiprocessing.Process(target=produce, args=(topic, n, count, encoding))
    producer.start()
    producer.join()
    produced = time.time()
    ends = dict(done.get() for _ in workers)
    rate = lambda end: f"{total / (end - start) / 1e3:8.1f} k ticks/s"
    print(
        f"{encoding:6s} {n} instruments, {total} ticks: produced {rate(produced)}, cached {rate(ends['cache'])}, stored {rate(ends['store'])}"
    )
    admin.delete_topics([topic])[topic].result()


if __name__ == "__main__":
    main()
