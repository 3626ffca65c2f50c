"""The Java programs of this folder, built once: jars by Maven, classes from our schema by sbe-tool, then javac.

The schema is ours, and a copy of it with an event kind that only tests have (package pseudofeed.test).
The readers DocumentedBlock and DocumentedTick are the code of docs/wire.md, to the letter. A build is kept in
build/interop-java under a name that says what went into it, and appears there when it is complete.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from probe_kind import PROBE
from pseudofeed.servers.kafka import KAFKA_VERSION
from pseudofeed.servers.tools import locked
from reference.event_schema import schema_with

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "java"
SCHEMA = ROOT / "src" / "pseudofeed" / "encode" / "pseudofeed.sbe.xml"
PAGE = ROOT / "docs" / "wire.md"
BUILD = ROOT / "build" / "interop-java"
READERS = ("DocumentedBlock", "DocumentedTick")  # in the order in which they stand on the page

# agrona reaches into the JDK from Java 17 on; two small JVMs beside a broker are enough with one collector thread.
OPTIONS = ("--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class JavaPrograms:
    """The class path of a build, and how to run what is on it."""

    def __init__(self, folder: Path) -> None:
        self._path = f"{folder / 'classes'}:{folder / 'libs'}/*"

    def run(self, name: str, *arguments: str, text: str = "") -> str:
        """What the class prints; `text` is its input."""
        return _run(["java", *OPTIONS, "-cp", self._path, name, *arguments], text=text)


def java_programs() -> JavaPrograms:
    """Built if they are not yet. The test is skipped where a JDK or Maven is missing."""
    if missing := [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: default-jdk-headless, maven)")
    readers = _documented_readers()
    inputs = [*sorted(SOURCES.iterdir()), SCHEMA, Path(__file__)]
    texts = (readers, schema_with(PROBE, "pseudofeed.test"))
    state = hashlib.sha256(b"".join(path.read_bytes() for path in inputs) + repr(texts).encode()).hexdigest()
    folder = BUILD / state[:16]
    if not folder.is_dir():
        # Another process that runs tests beside this one may want them, too.
        with locked(BUILD, print):
            if not folder.is_dir():
                partial = folder.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                _build(partial, readers)
                partial.replace(folder)
    return JavaPrograms(folder)


def _build(folder: Path, readers: dict[str, str]) -> None:
    libs, generated, classes = folder / "libs", folder / "generated", folder / "classes"
    _run(
        [
            *("mvn", "--batch-mode", "--quiet", f"-Dkafka.version={KAFKA_VERSION}"),
            *("--file", str(SOURCES / "pom.xml")),
            *("dependency:copy-dependencies", f"-DoutputDirectory={libs}"),
        ]
    )
    # Also what is a warning for Java because it would not do in another language.
    target = ["-Dsbe.target.language=Java", f"-Dsbe.output.dir={generated}", "-Dsbe.validation.warnings.fatal=true"]
    copy = folder / "probes.sbe.xml"
    copy.write_text(schema_with(PROBE, "pseudofeed.test"), encoding="utf-8")
    for schema in (SCHEMA, copy):
        _run(["java", *OPTIONS, *target, "-cp", f"{libs}/*", "uk.co.real_logic.sbe.SbeTool", str(schema)])
    for name, source in readers.items():
        (generated / f"{name}.java").write_text(source)
    sources = [str(path) for place in (generated, SOURCES) for path in place.rglob("*.java")]
    _run(["javac", "-nowarn", "-d", str(classes), "-cp", f"{libs}/*", *sources])


def _documented_readers() -> dict[str, str]:
    """The page's Java code: each block as a class with the method `read`, its imports before it."""
    found = re.findall(r"```java\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    readers = {}
    for name, code in zip(READERS, found, strict=True):
        lines = code.splitlines()
        imports = [line for line in lines if line.startswith("import ")]
        body = [line for line in lines if not line.startswith("import ")]
        readers[name] = "\n".join(
            [*imports, f"final class {name} {{ static void read(byte[] message) {{", *body, "} }", ""]
        )
    return readers


def _run(command: Sequence[str], *, text: str = "") -> str:
    ended = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, f"{command[0]} ... {command[-1]}:\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
    return ended.stdout
