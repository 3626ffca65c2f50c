"""What wheels/make.sh checks of a wheel and of its installation, by the interpreter that it is installed for.

usage: check.py WHEEL; it ends with a message where something is wrong.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pseudofeed
from pseudofeed.encode import _encode
from pseudofeed.simulate import _simulate


def libraries(wheel: zipfile.ZipFile) -> list[str]:
    """All shared objects; one that is not a module of ours ends the check."""
    names = [name for name in wheel.namelist() if ".so" in Path(name).suffixes or ".libs/" in name]
    strange = [name for name in names if not re.fullmatch(r"pseudofeed/(\w+/)*_\w+\.abi3\.so", name)]
    if strange or not names:
        sys.exit(f"the wheel holds {strange or 'no modules'}; modules of pseudofeed alone are expected")
    return names


def check_symbols(wheel: zipfile.ZipFile, names: list[str]) -> None:
    """Nothing but PyInit_*: libc++ inside one module must not serve another's."""
    with TemporaryDirectory() as folder:
        for name in names:
            path = wheel.extract(name, folder)
            answer = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True)
            symbols = [line.split()[-1] for line in answer.stdout.splitlines()]
            expected = f"PyInit_{Path(name).name.split('.')[0]}"
            if symbols != [expected]:
                sys.exit(f"{name} exports {len(symbols)} symbols, {symbols[:5]} ..., not {expected} alone")


def check_instruction_set() -> None:
    """The best kernels that the processor can run: zig's run-time library once said that it can run none of them."""
    flags = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text()))
    due = "baseline"
    if {"avx512f", "avx512dq", "avx512vl", "avx512bw"} <= flags:
        due = "avx512"
    elif "avx2" in flags:
        due = "avx2"
    if _simulate.instruction_set() != due:
        sys.exit(f"the kernels are those of {_simulate.instruction_set()}, on a processor with {due}")
    summing = "pclmulqdq" if {"pclmulqdq", "sse4_1"} <= flags else "tables"
    if {"avx512f", "vpclmulqdq"} <= flags:
        summing = "vpclmulqdq"
    if platform.machine() == "x86_64" and _encode.crc32_kernel() != summing:
        sys.exit(f"CRC-32 is computed by {_encode.crc32_kernel()}, on a processor with {summing}")


if Path(pseudofeed.__file__).is_relative_to(Path(__file__).parent / "source"):
    sys.exit("the source is imported, not the wheel")
with zipfile.ZipFile(sys.argv[1]) as wheel:
    check_symbols(wheel, libraries(wheel))
check_instruction_set()
print(f"{Path(sys.argv[1]).name}: {_simulate.instruction_set()} kernels, no symbol but the modules' own")
