#!/usr/bin/env bash
# Compiles all of csrc, without linking, for systems that are not at hand: PyPI's ziglang brings clang and their headers.
# Its libc++ is LLVM 18's, so this also finds what libstdc++ has and an older libc++ lacks.
#
# usage: cross_compile.sh BUILD_DIRECTORY TARGET...        e.g. cross_compile.sh build/cross aarch64-macos
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
shift
zig=$(python -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).with_name("zig"))')
mkdir -p "$build"
# zig's cache is as much ours to remove as what is built.
ZIG_GLOBAL_CACHE_DIR=$(cd "$build" && pwd)/zig-cache
export ZIG_GLOBAL_CACHE_DIR
for target in "$@"; do
    echo "== $target"
    cmake -S "$source" -B "$build/$target" -G Ninja --toolchain "$source/wheels/zig.cmake" -DCMAKE_BUILD_TYPE=Release \
        "-DPSEUDOFEED_ZIG=$zig" "-DPSEUDOFEED_ZIG_TARGET=$target" -DPSEUDOFEED_ZIG_COMPILE_ONLY=ON -DPSEUDOFEED_NATIVE_TESTS=OFF \
        > "$build/$target.log" || { cat "$build/$target.log"; exit 1; }
    cmake --build "$build/$target" --target pseudofeed_core -- -k 0
done
