// Decodes the messages of a partition, any mixture of tick blocks, SBE ticks and JSON ticks, to columns.
//
// Codecs do no I/O: bytes in, ticks out. Decoding is two calls, `check_ticks` (everything, for all messages) and
// `read_ticks` (can't fail), so that nothing is written from a batch that holds a damaged message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "encode/message.h"
#include "encode/tick.h"
#include "encode/tick_block.h"
#include "status.h"

namespace pseudofeed::encode {

enum class Shape : int { block, tick, json };

// A message whose every length, count and value was checked. Borrows a block's bytes; a single tick is copied out.
struct TickMessage {
    Shape shape = Shape::block;
    union {
        TickBlockView block;
        Tick tick;
    };

    TickMessage() : block{} {}
    std::size_t ticks() const { return shape == Shape::block ? block.steps * block.instruments : 1; }
};

// Checks one message of any shape. On failure (malformed; the text says what was found, what was expected and
// at which byte) `*found` is not touched.
Status check_tick_message(Bytes message, TickMessage* found);

// Checks a batch of one partition, each message as above and for its fingerprint and partition (JSON ticks don't have
// the latter). `found` has room for `count`; `*ticks` is the batch's number of ticks. On failure `*failed` is the index
// of the first bad message.
Status check_ticks(const Bytes* messages, std::size_t count, std::uint64_t fingerprint, std::uint32_t partition,
                   TickMessage* found, std::size_t* ticks, std::size_t* failed);

// Where ticks go: one entry a tick in each column, caller's memory.
struct TickColumns {
    std::int64_t* time = nullptr;
    std::int64_t* sequence = nullptr;
    std::int32_t* instrument = nullptr;
    double* price = nullptr;
    double* variance = nullptr;
};

// Writes the ticks of checked messages, one after the other, steps in order and within a step instruments in order.
// Each column has room for the ticks that check_ticks counted. Accesses only memory that was checked, so a message that
// another thread alters meanwhile can give wrong values, but never a read or write out of bounds.
void read_ticks(const TickMessage* messages, std::size_t count, TickColumns columns);

}  // namespace pseudofeed::encode
