#!/bin/sh
# Compiler flags under which the arithmetic is no longer IEEE's, or not of doubles: each must be refused by the one clear
# error of csrc/floating_point.h, or by CMake where the preprocessor does not know the flag; without them it compiles.
#
# usage: refused_flags.sh COMPILER SOURCE_DIRECTORY CMAKE
compiler=$1
source=$2
cmake=$3
failed=0
compiles() { "$compiler" -std=c++20 -I"$source/csrc" -E -o /dev/null "$@" "$source/csrc/random/cholesky.cpp" 2>&1; }

compiles -O2 || { echo "does not compile without such flags" >&2; exit 1; }
flags="-ffast-math -Ofast -ffinite-math-only"
case $("$compiler" -dumpmachine) in
    x86_64*) flags="$flags -mfpmath=387" ;;
esac
for flag in $flags; do
    echo 'int main() {}' | "$compiler" -x c++ -fsyntax-only "$flag" -Werror - 2> /dev/null || continue  # unknown here
    if text=$(compiles -O2 "$flag"); then
        echo "$flag: compiled" >&2
        failed=1
    elif ! echo "$text" | grep -q 'pseudofeed needs'; then
        echo "$flag: another error: $text" >&2
        failed=1
    fi
done
cmake_accepts() { "$cmake" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=$1" -P "$source/csrc/refused_flags.cmake" 2>&1; }
cmake_accepts -O2 || failed=1
for flag in -funsafe-math-optimizations -fassociative-math -freciprocal-math -fsingle-precision-constant -ffp-model=fast; do
    if text=$(cmake_accepts "-O3 $flag"); then
        echo "$flag: accepted by CMake" >&2
        failed=1
    elif ! echo "$text" | tr -s '\n ' ' ' | grep -q "pseudofeed needs IEEE arithmetic: compile without $flag"; then
        echo "$flag: another error: $text" >&2
        failed=1
    fi
done
exit $failed
