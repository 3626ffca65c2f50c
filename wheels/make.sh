#!/usr/bin/env bash
# Builds the sdist, from it the wheel that others install, and tries that wheel where there is no compiler and no source.
#
# The wheel runs on every Linux with glibc >= 2.28: zig's clang compiles and links against that glibc's symbols and puts
# libc++ into the modules. It serves CPython 3.11 and all later ones (stable ABI). What is checked before it goes to dist/:
#   - the tag, by auditwheel; no library beside ours in the wheel; no symbol exported but the modules' PyInit_*
#   - only Python's stable ABI is used (abi3audit)
#   - in an empty environment, with nothing else on PATH: the demo, then the golden paths, by the kernels that this
#     processor is due
#
# usage: make.sh PYTHON        UV=/path/to/uv installs with uv instead of pip
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
[ "$(uname -s)" = Linux ] || { echo "make wheels is for Linux; elsewhere: cibuildwheel (see pyproject.toml)" >&2; exit 1; }
machine=$(uname -m)
build=$PWD/build/wheels
tools=$build/tools

environment() { "$python" -m venv --without-pip --clear "$1"; }
install() {
    local into=$1
    shift
    if [ -n "${UV-}" ]; then
        "$UV" pip install --quiet --python "$into/bin/python" "$@"
    else
        "$python" -m pip --python "$into" install --quiet "$@"
    fi
}

mkdir -p "$build"
if [ ! -e "$tools/.made" ] || [ pyproject.toml -nt "$tools/.made" ]; then
    echo "installing the build tools into ${tools#"$PWD/"}"
    environment "$tools"
    mapfile -t requirements < <("$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")')
    install "$tools" --group wheels "${requirements[@]}"
    touch "$tools/.made"
fi
PATH=$tools/bin:$PATH

echo "building the sdist, and the wheel from it, for glibc 2.28"
rm -rf "$build/built" "$build/cmake"
zig=$(python -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).with_name("zig"))')
CMAKE_TOOLCHAIN_FILE=$PWD/wheels/zig.cmake ZIG_GLOBAL_CACHE_DIR=$build/zig-cache \
    python -m build --no-isolation --outdir "$build/built" "-Cbuild-dir=$build/cmake" \
    "-Ccmake.define.PSEUDOFEED_ZIG=$zig" "-Ccmake.define.PSEUDOFEED_ZIG_TARGET=$machine-linux-gnu.2.28" \
    > "$build/build.log" 2>&1 || { tail -40 "$build/build.log"; exit 1; }

auditwheel repair --plat "manylinux_2_28_$machine" --only-plat --wheel-dir "$build/repaired" "$build"/built/*.whl \
    > "$build/repair.log" 2>&1 || { cat "$build/repair.log"; exit 1; }
wheel=$(ls -t "$build"/repaired/*.whl | head -1)
case $wheel in
    *-cp311-abi3-manylinux_2_28_"$machine".whl) ;;
    *) echo "the wheel has another tag than cp311-abi3-manylinux_2_28_$machine: $wheel" >&2; exit 1 ;;
esac
abi3audit --strict --summary "$wheel"

trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
environment "$trial/environment"
echo "installing ${wheel##*/} where there is neither compiler nor source"
(
    cd "$trial"
    export PATH=$trial/environment/bin
    unset PYTHONPATH
    install environment --only-binary :all: "$wheel[embedded,plot]"
    pseudofeed demo
)
install "$trial/environment" --only-binary :all: "$wheel[calendar]" 'pytest>=8.3'
mkdir "$trial/source"
cp -r pyproject.toml tests "$trial/source"
cp wheels/check.py "$trial"
(
    cd "$trial/source"
    "$trial/environment/bin/python" "$trial/check.py" "$wheel"
    "$trial/environment/bin/python" -m pytest -q -p no:cacheprovider --noconftest tests/unit/test_golden.py
)
mkdir -p dist
cp "$wheel" "$build"/built/*.tar.gz dist/
ls -l dist
