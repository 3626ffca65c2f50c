"""Encodes events of any kind as messages: blocks of limited length, each with a copy of its entries.

Events are NumPy structured arrays with the dtype `kind.entry`: the bytes of the wire.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pseudofeed.encode._blocks import MAXIMUM_EVENT_STEPS, encode_event_block, maximum_events
from pseudofeed.records import Columns

__all__ = ["encode_events", "event_entries"]


def event_entries(columns: Columns, first_step: int) -> NDArray[Any]:
    """The rows of an event kind as entries of a block that begins with `first_step`."""
    kind = columns.kind
    entries = np.empty(len(columns), kind.entry)
    entries["time"], entries["number"] = columns.time, columns.number
    entries["step"], entries["event"] = columns.sequence - first_step, columns["event"]
    for field in kind.fields:
        entries[field.name] = columns[field.name]
    return entries


def encode_events(columns: Columns, *, fingerprint: int, partition: int, first_step: int, steps: int) -> list[bytes]:
    """The event blocks of the steps first_step to first_step + steps - 1 of one partition, in order, including
    steps without events.

    columns: all events of these steps, ascending by step, number and event. A step with more events than fit a
    message continues in the next one. Raises ValueError if an order is violated.
    """
    kind = columns.kind
    most = maximum_events(kind)
    messages: list[bytes] = []
    step, end, first_event, begin = first_step, first_step + steps, 0, 0
    while step < end:
        last = min(end, step + MAXIMUM_EVENT_STEPS) - 1
        finish = int(np.searchsorted(columns.sequence, last, side="right"))
        more = finish - begin > most
        if more:
            finish = begin + most
            last = int(columns.sequence[finish - 1])
            more = bool(columns.sequence[finish] == last)
        block = event_entries(columns.take(slice(begin, finish)), step)
        messages.append(
            encode_event_block(
                kind,
                block,
                fingerprint=fingerprint,
                partition=partition,
                first_step=step,
                steps=last - step + 1,
                first_event=first_event,
                more=more,
            )
        )
        in_last = finish - max(begin, int(np.searchsorted(columns.sequence, last)))
        first_event = (first_event if last == step else 0) + in_last if more else 0
        step, begin = (last if more else last + 1), finish
    return messages
