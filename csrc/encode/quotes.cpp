#include "encode/quotes.h"

#include <cmath>
#include <limits>

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

// Room for what one quote takes: nine texts of at most 64 bytes and their headers; and the same in JSON with its names,
// beside the symbol.
constexpr std::size_t quote_limit = 1024;

char* put_uint32(char* at, std::uint64_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) *at++ = static_cast<char>(value >> shift & 0xFF);
    return at;
}

// Writes MessagePack.
class Packer {
  public:
    explicit Packer(char* at) : at_(at) {}
    char* at() const { return at_; }

    // A text of up to 64 KiB whose length is known once it is written: str 16.
    template <typename Write>
    std::string_view text(Write write) {
        char* begin = at_ + 3;
        at_ = write(begin);
        const auto size = static_cast<std::size_t>(at_ - begin);
        begin[-3] = static_cast<char>(0xDA);
        begin[-2] = static_cast<char>(size >> 8);
        begin[-1] = static_cast<char>(size & 0xFF);
        return {begin, size};
    }
    void boolean(bool value) { *at_++ = static_cast<char>(value ? 0xC3 : 0xC2); }
    void array(std::uint64_t entries) {
        *at_++ = static_cast<char>(0xDD);
        at_ = put_uint32(at_, entries);
    }
    void number(std::uint64_t value) {
        *at_++ = static_cast<char>(0xCE);
        at_ = put_uint32(at_, value);
    }

  private:
    char* at_;
};

// Where the next quote goes.
struct Place {
    char *packed, *json;
};

std::string_view opening_of(const std::vector<Opening>& openings, std::int64_t first) {
    const auto found =
        std::find_if(openings.begin(), openings.end(), [=](const Opening& o) { return o.first == first; });
    return found == openings.end() ? std::string_view() : found->text;
}

Place put_quote(const QuoteColumns& columns, std::string_view symbol, std::string_view opening, std::size_t i,
                Place place) {
    Packer pack(place.packed);
    const auto integer = [&](std::int64_t value) {
        return pack.text([=](char* to) { return put_integer(to, value); });
    };
    const auto number = [&](double value) { return pack.text([=](char* to) { return put_repr(to, value); }); };

    const auto sequence = integer(columns.sequence[i]);
    const auto time = pack.text([&](char* to) { return put_time(to, columns.time[i]); });
    integer(columns.time[i]);
    const auto price = number(columns.price[i]);
    const auto variance = number(columns.variance[i]);
    const bool known = columns.known[i] != 0 && !opening.empty();
    char* const texts_end = pack.at();
    std::string_view open, high, low;
    if (known) {
        pack.text([=](char* to) { return put(to, opening); });
        open = number(columns.open[i]);
        high = number(columns.high[i]);
        low = number(columns.low[i]);
    }

    char* to = put(put(place.json, "{\"symbol\":"), symbol);
    to = put(put(to, ",\"sequence\":"), sequence);
    to = put(put(to, ",\"time\":\""), time);
    to = put(put(to, "\",\"price\":"), price);
    to = put(put(to, ",\"variance\":"), variance);
    if (known) {
        to = put(put(to, ",\"session\":\""), opening);
        to = put(put(to, "\",\"open\":"), open);
        to = put(put(to, ",\"high\":"), high);
        to = put(put(to, ",\"low\":"), low);
    }
    to = put(to, "}");
    if (!known || columns.in_part[i] != 0) {
        pack = Packer(texts_end);
        pack.boolean(known);
    }
    pack.number(static_cast<std::uint64_t>(to - place.json));
    return {pack.at(), to};
}

}  // namespace

EncodedQuotes encode_quotes(const QuoteColumns& columns, const std::vector<std::string>& symbols,
                            const std::vector<Opening>& openings, const std::int64_t* instruments, std::size_t count) {
    std::size_t room = 5;
    std::uint64_t entries = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto number = std::size_t(instruments[i]);
        room += symbols[number].size() + quote_limit;
        const bool whole = columns.known[number] != 0 && columns.in_part[number] == 0 &&
                           !opening_of(openings, columns.first[number]).empty();
        entries += whole ? quote_entries : quote_entries - 3;
    }
    EncodedQuotes out{std::string(room, '\0'), std::string(room, '\0')};
    Packer begin(out.packed.data());
    begin.array(entries);
    Place at{begin.at(), out.json.data()};
    for (std::size_t i = 0; i < count; ++i) {
        const auto number = std::size_t(instruments[i]);
        if (i > 0) *at.json++ = ',';
        at = put_quote(columns, symbols[number], opening_of(openings, columns.first[number]), number, at);
    }
    out.packed.resize(static_cast<std::size_t>(at.packed - out.packed.data()));
    out.json.resize(static_cast<std::size_t>(at.json - out.json.data()));
    return out;
}

bool decode_quote(const std::string_view* texts, std::int64_t* integers, double* doubles, std::size_t stride) {
    for (std::size_t i = 0; i < quote_integers; ++i) {
        std::int64_t& number = integers[i * stride];
        if (!is_number(texts[i], &number) || number < 0) return false;
    }
    const std::string_view* const values = texts + quote_integers;
    const bool known = values[2].data() != nullptr;
    for (std::size_t i = 0; i < quote_doubles; ++i) {
        double& number = doubles[i * stride];
        if (i < 2 || known) {
            if (!is_number(values[i], &number) || !std::isfinite(number)) return false;
        } else {
            if (values[i].data() != nullptr) return false;
            number = std::numeric_limits<double>::quiet_NaN();
        }
    }
    return true;
}

}  // namespace pseudofeed::encode
