// read_double's corners; tests/unit/test_decimal.py compares with Python's float().
#include <cfenv>
#include <cmath>
#include <limits>
#include <string>

#include "check.h"
#include "encode/decimal.h"
#include "encode/text.h"

using namespace pseudofeed::encode;

namespace {

// How much of the text was taken, and the number.
void check_reads(std::string_view text, std::size_t size, double expected) {
    double number = 7.0;
    CHECK_EQUAL(read_double(text, &number), size);
    CHECK_EQUAL(number, size == 0 ? 7.0 : expected);
    CHECK(size == 0 || std::signbit(number) == std::signbit(expected));
}

}  // namespace

int main() {
    for (const std::string_view text : {"", "-", ".", "-.", "e1", "+1", " 1", "inf", "nan", "x", "1e999", "1e-400",
                                        "1e99999999999999999999", "-1e309"}) {
        check_reads(text, 0, 0);
    }
    check_reads("12.5", 4, 12.5);
    check_reads("-0", 2, -0.0);
    check_reads("-0.0e99999999999999999999", 25, -0.0);
    check_reads("007.50,", 6, 7.5);
    check_reads(".5", 2, 0.5);
    check_reads("5.", 2, 5);
    check_reads("1.2.3", 3, 1.2);
    check_reads("1e", 1, 1);
    check_reads("1e+", 1, 1);
    check_reads("1E+2", 4, 100);
    check_reads("1e-05", 5, 1e-05);
    check_reads("9007199254740993", 16, 9007199254740992.0);  // a tie, to even
    check_reads("9007199254740995", 16, 9007199254740996.0);  // a tie, to even
    check_reads("9007199254740993.0000000000000000000001", 39, 9007199254740994.0);
    check_reads("1.7976931348623157e308", 22, std::numeric_limits<double>::max());
    check_reads("1.7976931348623158e308", 22, std::numeric_limits<double>::max());
    check_reads("1.7976931348623159e308", 0, 0);
    check_reads("4.9406564584124654e-324", 23, std::numeric_limits<double>::denorm_min());
    check_reads("2.4703282292062328e-324", 23, std::numeric_limits<double>::denorm_min());
    check_reads("2.4703282292062327e-324", 0, 0);                         // nearer to 0
    check_reads("2.2250738585072011e-308", 23, 2.2250738585072011e-308);  // once an endless loop in PHP and Java
    check_reads("2.2250738585072014e-308", 23, std::numeric_limits<double>::min());
    const std::string zeros(5000, '0');
    check_reads("0." + zeros + "1e5000", 5008, 0.1);
    check_reads("1" + zeros + "e-5000", 5007, 1);
    check_reads("9007199254740993" + std::string(".") + zeros + "1", 5018, 9007199254740994.0);
    check_reads(std::string(300'000, '9') + "e-299999", 300'008, 10);

    // Whatever another library has done to the rounding mode.
    std::fesetround(FE_UPWARD);
    check_reads("0.1", 3, 0x1.999999999999ap-4);
    check_reads("27.845510558506533", 18, 0x1.bd87361453550p+4);
    check_reads("123456789012345678901234567890", 30, 0x1.8ee90ff6c373ep+96);
    std::fesetround(FE_TONEAREST);
    return pseudofeed::test::result();
}
