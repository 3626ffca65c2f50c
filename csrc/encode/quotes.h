// The newest quotes of some instruments, encoded for the cache's script (src/pseudofeed/cache/quote.lua) as one
// MessagePack array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pseudofeed::encode {

// The columns of all instruments of a market, (N) each. Borrows.
struct QuoteColumns {
    const std::int64_t *sequence = nullptr, *time = nullptr;
    const double *price = nullptr, *variance = nullptr;
    const std::int64_t* first = nullptr;    // the first step of the quote's session
    const std::uint8_t* known = nullptr;    // 0: open, high and low are not known
    const std::uint8_t* in_part = nullptr;  // 1: Redis has session, open, high and low already; they are not sent again
    const double *open = nullptr, *high = nullptr, *low = nullptr;
};

// The opening time of the session with this first step, as text.
struct Opening {
    std::int64_t first;
    std::string_view text;
};

// Of a whole quote: the texts sequence, time, time_ns, price, variance, session, open, high, low, and the length of its
// JSON. One boolean in place of the last four texts means that they are not known (false), or not sent again (true).
// Numbers in texts are the shortest that read back to the same bits, as Python's repr has them.
inline constexpr std::size_t quote_entries = 10;

struct EncodedQuotes {
    std::string packed;  // MessagePack
    std::string json;    // the quotes as JSON, a comma between two, whole in any case
};

// symbols: of all instruments, quoted and escaped for JSON; instruments: those to write, all below N; openings: of
// every first step among them that is known, at most 64 bytes each. May throw std::bad_alloc.
EncodedQuotes encode_quotes(const QuoteColumns& columns, const std::vector<std::string>& symbols,
                            const std::vector<Opening>& openings, const std::int64_t* instruments, std::size_t count);

// A quote as it is read back: epoch, sequence, time; price, variance, open, high, low.
inline constexpr std::size_t quote_integers = 3, quote_doubles = 5;

// Whether the texts (quote_integers + quote_doubles of them) are a quote: integers from 0 on, finite doubles. Without
// its session a quote has no open, high and low (their data() is null): then they are NaN. Writes every `stride`-th
// place.
bool decode_quote(const std::string_view* texts, std::int64_t* integers, double* doubles, std::size_t stride);

}  // namespace pseudofeed::encode
