#!/bin/sh
# Compiler flags under which the arithmetic is no longer IEEE's, or not of doubles: each must be refused by the one clear
# error of csrc/floating_point.h; without them it compiles.
#
# usage: refused_flags.sh COMPILER SOURCE_DIRECTORY
compiler=$1
source=$2
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
exit $failed
