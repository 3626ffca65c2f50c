#include "encode/quotes.h"

#include <cmath>

#include "encode/text.h"

namespace pseudofeed::encode {
namespace {

// As Python's repr: plain digits where they are not too many, and never an integer's text.
char* put_repr(char* at, double value) {
    const double size = std::fabs(value);
    if (!(size == 0.0 || (size >= 1e-4 && size < 1e16))) {
        return std::to_chars(at, at + double_text_limit, value, std::chars_format::scientific).ptr;
    }
    char* end = std::to_chars(at, at + double_text_limit, value, std::chars_format::fixed).ptr;
    return std::find(at, end, '.') == end ? put(end, ".0") : end;
}

// Room for what one quote takes: ten texts of at most 64 bytes and their headers; and the same in JSON with its names,
// beside the symbol.
constexpr std::size_t quote_limit = 1024;

// A text of up to 64 KiB whose length is known once it is written: MessagePack's str 16.
class Texts {
  public:
    explicit Texts(char* at) : at_(at) {}
    char* at() const { return at_; }

    template <typename Write>
    std::string_view add(Write write) {
        char* begin = at_ + 3;
        at_ = write(begin);
        const auto size = static_cast<std::size_t>(at_ - begin);
        begin[-3] = static_cast<char>(0xDA);
        begin[-2] = static_cast<char>(size >> 8);
        begin[-1] = static_cast<char>(size & 0xFF);
        return {begin, size};
    }

  private:
    char* at_;
};

// Where the next quote goes.
struct Place {
    char *texts, *json;
};

Place put_quote(const QuoteColumns& columns, std::string_view symbol, const std::vector<Opening>& openings,
                std::size_t i, Place place) {
    Texts texts(place.texts);
    const auto integer = [&](std::int64_t value) {
        return texts.add([=](char* to) { return put_integer(to, value); });
    };
    const auto number = [&](double value) { return texts.add([=](char* to) { return put_repr(to, value); }); };
    const auto text = [&](std::string_view value) { return texts.add([=](char* to) { return put(to, value); }); };

    const auto sequence = integer(columns.sequence[i]);
    const auto time = texts.add([&](char* to) { return put_time(to, columns.time[i]); });
    integer(columns.time[i]);
    const auto price = number(columns.price[i]);
    const auto variance = number(columns.variance[i]);
    const auto opening = std::find_if(openings.begin(), openings.end(),
                                      [&](const Opening& each) { return each.first == columns.first[i]; });
    const bool known = columns.known[i] != 0 && opening != openings.end();
    const auto session = text(known ? opening->text : "-");
    const auto open = known ? number(columns.open[i]) : text("-");
    const auto high = known ? number(columns.high[i]) : text("-");
    const auto low = known ? number(columns.low[i]) : text("-");

    char* to = put(put(place.json, "{\"symbol\":"), symbol);
    to = put(put(to, ",\"sequence\":"), sequence);
    to = put(put(to, ",\"time\":\""), time);
    to = put(put(to, "\",\"price\":"), price);
    to = put(put(to, ",\"variance\":"), variance);
    if (known) {
        to = put(put(to, ",\"session\":\""), session);
        to = put(put(to, "\",\"open\":"), open);
        to = put(put(to, ",\"high\":"), high);
        to = put(put(to, ",\"low\":"), low);
    }
    to = put(to, "}");
    integer(to - place.json);
    return {texts.at(), to};
}

}  // namespace

EncodedQuotes encode_quotes(const QuoteColumns& columns, const std::vector<std::string>& symbols,
                            const std::vector<Opening>& openings, const std::int64_t* instruments, std::size_t count) {
    std::size_t room = 5;
    for (std::size_t i = 0; i < count; ++i) room += symbols[std::size_t(instruments[i])].size() + quote_limit;
    EncodedQuotes out{std::string(room, '\0'), std::string(room, '\0')};
    Place at{out.texts.data(), out.json.data()};
    *at.texts++ = static_cast<char>(0xDD);  // array 32
    const std::uint64_t entries = count * quote_texts;
    for (int shift = 24; shift >= 0; shift -= 8) *at.texts++ = static_cast<char>(entries >> shift & 0xFF);
    for (std::size_t i = 0; i < count; ++i) {
        const auto number = std::size_t(instruments[i]);
        if (i > 0) *at.json++ = ',';
        at = put_quote(columns, symbols[number], openings, number, at);
    }
    out.texts.resize(static_cast<std::size_t>(at.texts - out.texts.data()));
    out.json.resize(static_cast<std::size_t>(at.json - out.json.data()));
    return out;
}

}  // namespace pseudofeed::encode
