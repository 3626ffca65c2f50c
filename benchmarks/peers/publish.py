"""The producer loop that a competent user would write today: confluent-kafka, each tick a struct or JSON."""
import json
import struct

import confluent_kafka as ck

RECORD = struct.Struct("<qiqdd")


def publish(kafka, topic, symbols, times, prices, variances, encoding):
    """(T,) times in ns and (T, N) prices and variances as messages; returns when the last one is acknowledged."""
    producer = ck.Producer({
        "bootstrap.servers": kafka, "linger.ms": 5, "batch.size": 1_000_000, "compression.type": "lz4",
        "enable.idempotence": True, "queue.buffering.max.messages": 1_000_000,
    })
    for t, ns in enumerate(times.tolist()):
        price, variance = prices[t].tolist(), variances[t].tolist()
        for i, symbol in enumerate(symbols):
            if encoding == "json":
                value = json.dumps({"ts": ns, "symbol": symbol, "seq": t, "price": price[i], "variance": variance[i]})
            else:
                value = RECORD.pack(ns, i, t, price[i], variance[i])
            while True:
                try:
                    producer.produce(topic, value, key=symbol)
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.poll(0)
    producer.flush()
