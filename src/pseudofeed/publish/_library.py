"""Finds librdkafka: the copy inside the confluent-kafka wheel, or else the system's.

The wheel's copy comes first, so that the process has one librdkafka, one set of options and one set of certificates,
whether a message goes through our producer or through confluent-kafka's consumer. It is found without importing
confluent_kafka. Linux wheels keep it in `confluent_kafka.libs` beside the package (auditwheel), macOS wheels in
`confluent_kafka/.dylibs` (delocate).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pseudofeed.errors import LibraryError

__all__ = ["load_librdkafka"]

SYSTEM_NAMES = ("librdkafka.so.1", "librdkafka.1.dylib")


def candidates() -> list[str]:
    """Paths and names to try, in order."""
    found: list[str] = []
    spec = importlib.util.find_spec("confluent_kafka")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        package = Path(folder)
        libraries = [
            *sorted((package.parent / "confluent_kafka.libs").glob("librdkafka*.so*")),
            *sorted((package / ".dylibs").glob("librdkafka*.dylib")),
        ]
        # The wheel may contain librdkafka++, too.
        found += [str(library) for library in libraries if "++" not in library.name]
    return [*found, *SYSTEM_NAMES]


def load_librdkafka() -> str:
    """Load librdkafka once for this process and return its version; LibraryError says what to install."""
    from pseudofeed.publish import _publish

    reasons = []
    for candidate in candidates():
        try:
            return _publish.load_library(candidate)
        except LibraryError as error:
            reasons.append(f"  {error}")
    raise LibraryError(
        "librdkafka 2.3 or later is needed and was not found. Install it with `pip install confluent-kafka` "
        "(its wheel contains it), or the system's package (librdkafka1 on Debian, librdkafka with Homebrew). Tried:\n"
        + "\n".join(reasons)
    )
