"""The factors of csrc/encode/crc32_fold.h from their definition: `python tests/reference/crc32_constants.py`."""

from __future__ import annotations

POLYNOMIAL = 0x104C11DB7  # P; bit k is the coefficient of x^k
DISTANCES = (16, 64, 256)  # bytes


def power(exponent: int) -> int:
    """x^exponent mod P."""
    remainder = 1
    for _ in range(exponent):
        remainder <<= 1
        if remainder >> 32:
            remainder ^= POLYNOMIAL
    return remainder


def reflected(word: int) -> int:
    return int(f"{word:032b}"[::-1], 2)


def fold_factors(distance: int) -> tuple[int, int]:
    """What carries the first and the second 8 of 16 bytes over `distance` bytes.

    Read as reflected polynomials, the first 8 bytes stand 64 powers above the second. A factor of 32 bits in a register
    of 64 stands for x^32 times itself, hence 32 powers less. A carry-less product of two reflected numbers of 64 bits
    comes out one bit too low, hence the shift.
    """
    return reflected(power(8 * distance + 32)) << 1, reflected(power(8 * distance - 32)) << 1


if __name__ == "__main__":
    for distance in DISTANCES:
        first, second = fold_factors(distance)
        print(f"    FoldFactors{{{distance}, 0x{first:09x}, 0x{second:09x}}},")
