#!/usr/bin/env bash
# Ten million damaged messages for the decoders, under the address and undefined-behaviour sanitizers: by our own
# mutations, and by libFuzzer, which looks for new paths, where clang is installed (Debian: clang). With
# PSEUDOFEED_REQUIRE_LIBFUZZER=1 it is a failure that it is not.
#
# usage: soak_fuzz.sh BUILD_DIRECTORY [INPUTS]
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
inputs=${2:-10000000}

first_of() { for name in "$@"; do command -v "$name" && return; done; return 1; }

made() {
    local name=$1 target=$2
    shift 2
    cmake -S "$source" -B "$build/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" > "$build/$name.log" || { cat "$build/$name.log"; return 1; }
    cmake --build "$build/$name" --target "$target"
}

mkdir -p "$build"
made own fuzz_decoders
"$build/own/tests/native/fuzz_decoders" "$inputs"
if clang=$(first_of clang++ clang++-{22,21,20,19,18,17,16,15,14}); then
    made libfuzzer libfuzzer_decoders -DCMAKE_CXX_COMPILER="$clang"
    mkdir -p "$build/corpus"
    "$build/libfuzzer/tests/native/libfuzzer_decoders" -runs="$inputs" -max_len=1024 -print_final_stats=1 \
        -verbosity=0 -artifact_prefix="$build/" "$build/corpus"
else
    echo "clang++ is not installed: libFuzzer is not run" >&2
    [ "${PSEUDOFEED_REQUIRE_LIBFUZZER-}" != 1 ]
fi
