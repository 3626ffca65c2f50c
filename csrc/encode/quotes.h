// The newest quotes of some instruments as the cache's script takes them (src/pseudofeed/cache/quote.lua): one
// MessagePack array of texts, quote_texts of them for every quote.
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
    const std::int64_t* first = nullptr;  // the first step of the quote's session
    const std::uint8_t* known = nullptr;  // 0: open, high and low are not known
    const double *open = nullptr, *high = nullptr, *low = nullptr;
};

// When the session opened that has this first step, as text.
struct Opening {
    std::int64_t first;
    std::string_view text;
};

// sequence, time, time_ns, price, variance, session, open, high, low, the last four "-" where they are not known; and
// the length of the quote's JSON. Numbers are the shortest texts that read back to the same bits, as Python's repr has
// them.
inline constexpr std::size_t quote_texts = 10;

struct EncodedQuotes {
    std::string texts;  // MessagePack
    std::string json;   // the quotes as JSON, a comma between two
};

// symbols: of all instruments, quoted and escaped for JSON; instruments: those to write, all below N; openings: of
// every first step among them that is known, at most 64 bytes each. May throw std::bad_alloc.
EncodedQuotes encode_quotes(const QuoteColumns& columns, const std::vector<std::string>& symbols,
                            const std::vector<Opening>& openings, const std::int64_t* instruments, std::size_t count);

}  // namespace pseudofeed::encode
