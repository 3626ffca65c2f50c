#!/usr/bin/env bash
# The native tests of bits, golden paths and checksums among them, as other compilers and another processor see them: clang, and aarch64 by a
# cross compiler under qemu-user (Debian: clang, g++-aarch64-linux-gnu, qemu-user). What is not installed is left out,
# and said; with PSEUDOFEED_REQUIRE_BITS=1 that is a failure.
#
# usage: soak_bits.sh BUILD_DIRECTORY
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
left_out=0

first_of() { for name in "$@"; do command -v "$name" && return; done; return 1; }

check() {
    local name=$1
    shift
    echo "== $name"
    cmake -S "$source" -B "$build/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" > "$build/$name.log" || { cat "$build/$name.log"; return 1; }
    cmake --build "$build/$name" --target golden_paths golden_markets test_crc32 test_random test_simulate test_floating_point
    ctest --test-dir "$build/$name" --output-on-failure -R '^(golden|test_crc32|test_random|test_simulate|test_floating_point)'
}

mkdir -p "$build"
if clang=$(first_of clang++ clang++-{22,21,20,19,18,17,16,15}); then
    check clang -DCMAKE_CXX_COMPILER="$clang"
else
    echo "clang++ is not installed: its bits are not checked" >&2
    left_out=1
fi
if cross=$(first_of aarch64-linux-gnu-g++) && qemu=$(first_of qemu-aarch64 qemu-aarch64-static); then
    check aarch64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER="$cross" \
        "-DCMAKE_CROSSCOMPILING_EMULATOR=$qemu;-L;/usr/aarch64-linux-gnu"
else
    echo "aarch64-linux-gnu-g++ or qemu-aarch64 is not installed: aarch64's bits are not checked" >&2
    left_out=1
fi
[ "$left_out" = 0 ] || [ "${PSEUDOFEED_REQUIRE_BITS-}" != 1 ]
