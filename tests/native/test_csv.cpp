// CSV rows without Python: known texts of times and numbers, files of one and of several columns, and what is refused.
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "encode/csv.h"

namespace {

using namespace pseudofeed;
using namespace pseudofeed::encode;

// 2026-03-02T14:30:00Z
constexpr std::int64_t kStart = 1'772'461'800'000'000'000;

struct Written {
    std::string text;
    std::vector<std::int64_t> ends;
    Status status;
};

Written write(const CsvSource& source) {
    Written written;
    written.ends.resize(source.files);
    std::vector<std::byte> out(csv_size_limit(source.rows, source.files, source.columns));
    written.status = encode_csv(source, out.data(), out.size(), written.ends.data());
    if (written.status.ok()) {
        written.text.assign(reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(written.ends.back()));
    }
    return written;
}

// One row of one file.
std::string row(std::int64_t time, int decimals, double first, double second) {
    return write({.rows = 1,
                  .times = &time,
                  .decimals = decimals,
                  .first = &first,
                  .second = &second,
                  .width = 1,
                  .begin = 0,
                  .files = 1,
                  .columns = 1})
        .text;
}

void test_numbers_always_have_a_point() {
    CHECK(row(kStart, 0, 101.25, 0.04) == "2026-03-02T14:30:00Z,101.25,0.04\n");
    CHECK(row(kStart, 0, 100.0, 0.0) == "2026-03-02T14:30:00Z,100.0,0.0\n");
    CHECK(row(kStart, 0, 1e-4, 1e-5) == "2026-03-02T14:30:00Z,0.0001,1.0e-05\n");
    CHECK(row(kStart, 0, 123456789012345.0, 1e16) == "2026-03-02T14:30:00Z,123456789012345.0,1.0e+16\n");
    CHECK(row(kStart, 0, -0.0, -2.2250738585072014e-308) == "2026-03-02T14:30:00Z,-0.0,-2.2250738585072014e-308\n");
    CHECK(row(kStart, 0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()) ==
          "2026-03-02T14:30:00Z,,\n");
}

void test_times_have_the_decimals_of_the_file() {
    CHECK(row(kStart + 500'000'000, 3, 1.5, 2.5) == "2026-03-02T14:30:00.500Z,1.5,2.5\n");
    CHECK(row(kStart, 3, 1.5, 2.5) == "2026-03-02T14:30:00.000Z,1.5,2.5\n");
    CHECK(row(kStart + 1'000, 6, 1.5, 2.5) == "2026-03-02T14:30:00.000001Z,1.5,2.5\n");
    CHECK(row(kStart + 1, 9, 1.5, 2.5) == "2026-03-02T14:30:00.000000001Z,1.5,2.5\n");
}

void test_files_stand_one_behind_the_other() {
    constexpr std::size_t kWidth = 19;  // more than two tiles, and not a whole number of them
    const std::vector<std::int64_t> times{kStart, kStart + 1'000'000'000};
    std::vector<double> first(2 * kWidth), second(2 * kWidth);
    for (std::size_t i = 0; i < first.size(); ++i) {
        first[i] = static_cast<double>(i) + 0.5;
        second[i] = -first[i];
    }
    const Written ticks = write({.rows = 2,
                                 .times = times.data(),
                                 .decimals = 0,
                                 .first = first.data(),
                                 .second = second.data(),
                                 .width = kWidth,
                                 .begin = 1,
                                 .files = kWidth - 1,
                                 .columns = 1});
    std::string expected;
    for (std::size_t column = 1; column < kWidth; ++column) {
        for (std::size_t at : {column, kWidth + column}) {
            const std::string number = std::to_string(at) + ".5";
            expected +=
                std::string("2026-03-02T14:30:0") + (at < kWidth ? '0' : '1') + "Z," + number + ",-" + number + "\n";
        }
        CHECK(static_cast<std::size_t>(ticks.ends[column - 1]) == expected.size());
    }
    CHECK(ticks.text == expected);

    const Written factors = write({.rows = 1,
                                   .times = times.data(),
                                   .decimals = 0,
                                   .first = first.data(),
                                   .second = second.data(),
                                   .width = 3,
                                   .begin = 0,
                                   .files = 1,
                                   .columns = 3});
    CHECK(factors.text == "2026-03-02T14:30:00Z,0.5,-0.5,1.5,-1.5,2.5,-2.5\n");
}

void test_what_is_refused_leaves_the_buffer() {
    const std::vector<std::int64_t> times{kStart, kStart + 1};
    const std::vector<double> values{1.0, 2.0};
    CsvSource source{.rows = 2,
                     .times = times.data(),
                     .decimals = 6,
                     .first = values.data(),
                     .second = values.data(),
                     .width = 1,
                     .begin = 0,
                     .files = 1,
                     .columns = 1};
    std::vector<std::byte> out(csv_size_limit(2, 1, 1));
    const std::vector<std::byte> untouched = out;
    std::int64_t end = 0;
    CHECK(encode_csv(source, out.data(), out.size(), &end).code == Code::invalid_argument);
    source.decimals = 9;
    CHECK(encode_csv(source, out.data(), out.size() - 1, &end).code == Code::invalid_argument);
    CHECK(out == untouched);
    CHECK(encode_csv(source, out.data(), out.size(), &end).ok());
}

}  // namespace

int main() {
    test_numbers_always_have_a_point();
    test_times_have_the_decimals_of_the_file();
    test_files_stand_one_behind_the_other();
    test_what_is_refused_leaves_the_buffer();
    return pseudofeed::test::result();
}
