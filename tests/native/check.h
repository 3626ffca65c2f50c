// What the native tests need of a test framework: checks that go on after a failure, tell where and what, and an exit
// code. They do not vanish with NDEBUG as assert() does. A program ends with `return pseudofeed::test::result();`.
#pragma once

#include <cstdio>
#include <sstream>
#include <string>

namespace pseudofeed::test {

inline int checks = 0;
inline int failures = 0;

inline void report(bool good, const char* file, int line, const std::string& text) {
    ++checks;
    if (good) return;
    ++failures;
    std::fprintf(stderr, "%s:%d: %s\n", file, line, text.c_str());
}

template <typename Left, typename Right>
void check_equal(const Left& left, const Right& right, const char* text, const char* file, int line) {
    if (left == right) {
        report(true, file, line, {});
        return;
    }
    std::ostringstream found;
    found.precision(17);
    found << text << ": " << left << " and " << right;
    report(false, file, line, found.str());
}

// 0 where there was at least one check and none has failed.
inline int result() {
    std::printf("%d checks, %d failed\n", checks, failures);
    return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace pseudofeed::test

#define CHECK(condition) ::pseudofeed::test::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define CHECK_EQUAL(left, right) ::pseudofeed::test::check_equal(left, right, #left " == " #right, __FILE__, __LINE__)
