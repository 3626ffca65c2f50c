// Numbers and times as text. Each function writes at `at`, where the caller has made room, and returns the end.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "encode/decimal.h"

namespace pseudofeed::encode {

inline constexpr std::size_t time_text_size = 30;      // 2026-03-02T14:30:01.000000000Z
inline constexpr std::size_t integer_text_limit = 20;  // -2^63
inline constexpr std::size_t double_text_limit = 24;   // -2.2250738585072014e-308

inline char* put(char* at, std::string_view text) { return std::copy(text.begin(), text.end(), at); }

// The last `digits` decimal digits of the value.
inline char* put_digits(char* at, std::uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
    return at + digits;
}

inline char* put_integer(char* at, std::int64_t value) { return std::to_chars(at, at + integer_text_limit, value).ptr; }

// The shortest text that reads back to the same double: 1e+05, 0.25.
inline char* put_shortest(char* at, double value) { return std::to_chars(at, at + double_text_limit, value).ptr; }

// ISO 8601 in UTC, with that many decimals of the second (0 to 9), the rest cut off. Any int64 of nanoseconds lies in
// the years 1677 to 2262, so a year has four digits.
inline char* put_time(char* at, std::int64_t time, int decimals = 9) {
    using namespace std::chrono;
    const auto whole = floor<seconds>(nanoseconds{time});
    const auto day = floor<days>(whole);
    const year_month_day date{sys_days{day}};
    const auto second = static_cast<std::uint64_t>((whole - day).count());
    at = put_digits(at, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
    *at++ = '-';
    at = put_digits(at, static_cast<unsigned>(date.month()), 2);
    *at++ = '-';
    at = put_digits(at, static_cast<unsigned>(date.day()), 2);
    *at++ = 'T';
    at = put_digits(at, second / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second % 60, 2);
    if (decimals > 0) {
        *at++ = '.';
        // Unsigned: the seconds of the earliest times, in nanoseconds, lie below the least int64.
        auto fraction = static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(whole.count()) * 1'000'000'000;
        for (int i = decimals; i < 9; ++i) fraction /= 10;
        at = put_digits(at, fraction, decimals);
    }
    *at++ = 'Z';
    return at;
}

// Whether the whole text is a number, in the form of put_shortest and repr, or plain digits; *number is set then.
inline bool is_number(std::string_view text, double* number) {
    return !text.empty() && read_double(text, number) == text.size();
}

inline bool is_number(std::string_view text, std::int64_t* number) {
    const auto [behind, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    return error == std::errc{} && behind == text.data() + text.size();
}

}  // namespace pseudofeed::encode
