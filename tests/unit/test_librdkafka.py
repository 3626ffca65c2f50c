"""librdkafka is found, is one copy in the process, and what is wrong with a library is said."""

from __future__ import annotations

import ctypes.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ONE_COPY = """
from pseudofeed.publish._library import load_librdkafka
{first}
import confluent_kafka
assert load_librdkafka() == confluent_kafka.libversion()[0], (load_librdkafka(), confluent_kafka.libversion())
print(len({{line.split()[-1] for line in open("/proc/self/maps") if "librdkafka" in line}}))
"""

REFUSED = """
from pseudofeed.errors import LibraryError
from pseudofeed.publish import _library, _publish
try:
    {call}
except LibraryError as error:
    print(error)
"""


def run(code: str) -> str:
    """In a process of its own: a library is loaded once and for all."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the loaded libraries are read from Linux's /proc")
@pytest.mark.parametrize("first", ["import confluent_kafka", "load_librdkafka()"])
def test_our_librdkafka_is_confluent_kafkas_own_copy(first: str) -> None:
    assert run(ONE_COPY.format(first=first)) == "1"


def test_finding_the_library_does_not_import_confluent_kafka() -> None:
    code = "import sys; from pseudofeed.publish._library import load_librdkafka; load_librdkafka();"
    assert run(code + "print('confluent_kafka' in sys.modules)") == "False"


def test_a_library_that_is_not_librdkafka_is_refused_with_what_it_lacks() -> None:
    text = run(REFUSED.format(call=f"_publish.load_library({ctypes.util.find_library('m')!r})"))
    assert re.search(r"lacks \d+ functions: rd_kafka_version, ", text)


def test_no_library_at_all_says_what_to_install() -> None:
    call = "_library.candidates = lambda: ['/nowhere/librdkafka.so.1']; _library.load_librdkafka()"
    text = run(REFUSED.format(call=call))
    assert "pip install confluent-kafka" in text
    assert "/nowhere/librdkafka.so.1" in text


def test_an_old_library_is_refused_with_its_version(tmp_path: Path) -> None:
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))))
    source = tmp_path / "old.cpp"
    source.write_text(
        'extern "C" int rd_kafka_version() { return 0x020202ff; }\n'
        'extern "C" const char* rd_kafka_version_str() { return "2.2.2"; }\n'
    )
    library = tmp_path / "librdkafka.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    assert "librdkafka 2.2.2" in run(REFUSED.format(call=f"_publish.load_library({str(library)!r})"))
