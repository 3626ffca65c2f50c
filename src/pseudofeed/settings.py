"""The addresses of the servers: from options, then environment variables, then pseudofeed.toml.

A setting may contain a password, so nothing here ever shows one: repr, str and the descriptions show only recognised
addresses, and an error about a malformed setting names the setting, not its text. A password on the command line could
be read by every user of the machine, so it is refused there.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from pseudofeed.errors import SettingsError
from pseudofeed.toml_file import read_toml

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["SETTINGS_FILE", "Connections"]

SETTINGS_FILE = "pseudofeed.toml"

_FORMS = {
    "kafka": "a list host:port,host:port, or the path of a librdkafka properties file (lines key=value)",
    "redis": "a URL such as redis://localhost:6379/0 (also rediss:// and unix://)",
    "postgres": "a libpq connection string, such as postgresql://user@localhost:5432/db or 'host=localhost dbname=db'",
}
_SERVERS = {"kafka": "Kafka", "redis": "Redis", "postgres": "PostgreSQL"}

_HOST_PORT = re.compile(r"(?:[A-Za-z][A-Za-z_]*://)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%a-z]+\]):(?P<port>[0-9]{1,5})")
_PLAIN_NAME = re.compile(r"[\w.,:/\[\]%-]*")

# Of a librdkafka configuration only these values are ever shown; every other may be a secret.
_SHOWN_PROPERTIES = frozenset({"security.protocol", "sasl.mechanism", "sasl.mechanisms", "client.id"})
_POSTGRES_SECRETS = ("password", "sslpassword", "oauth_client_secret")


@dataclass(frozen=True, slots=True, repr=False)
class Connections:
    """The three servers' addresses with their credentials; None if one is not set.

    kafka: librdkafka properties, with bootstrap.servers. redis: a URL. postgres: a libpq connection string or URL.
    """

    kafka: Mapping[str, str] | None = None
    redis: str | None = None
    postgres: str | None = None

    @classmethod
    def resolve(
        cls,
        *,
        kafka: str | None = None,
        redis: str | None = None,
        postgres: str | None = None,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Connections:
        """Each setting from the first place that has it: the option, PSEUDOFEED_KAFKA | _REDIS | _POSTGRES in
        `environ` (default: the process's), `pseudofeed.toml` in `directory` (default: the current one).

        An empty environment variable counts as not set. A relative path of a Kafka properties file is relative
        to the current directory; in pseudofeed.toml it is relative to that file's directory. Raises SettingsError
        naming the setting's place.
        """
        options = {"kafka": kafka, "redis": redis, "postgres": postgres}
        environ = os.environ if environ is None else environ
        file = (Path.cwd() if directory is None else directory) / SETTINGS_FILE
        in_file = _read_settings_file(file)
        found: dict[str, tuple[str, str, Path]] = {}  # setting -> its text, its place, where relative paths start
        for name, option in options.items():
            variable = _variable(name)
            if option is not None:
                found[name] = (option, f"option {name}", Path())
                _refuse_password(name, option)
            elif environ.get(variable, "").strip():
                found[name] = (environ[variable], variable, Path())
            elif name in in_file:
                found[name] = (in_file[name], f"{file}: {name}", file.parent)
        return cls(
            kafka=_kafka_properties(*found["kafka"]) if "kafka" in found else None,
            redis=_checked_redis(*found["redis"][:2]) if "redis" in found else None,
            postgres=_checked_postgres(*found["postgres"][:2]) if "postgres" in found else None,
        )

    def require_kafka(self) -> dict[str, str]:
        """librdkafka's properties, a copy. Raises SettingsError if Kafka is not set."""
        if self.kafka is None:
            _not_set("kafka")
        return dict(self.kafka)

    def require_redis(self) -> str:
        """Redis's URL. Raises SettingsError if it is not set."""
        if self.redis is None:
            _not_set("redis")
        return self.redis

    def require_postgres(self) -> str:
        """PostgreSQL's connection string. Raises SettingsError if it is not set or libpq can't read it."""
        if self.postgres is None:
            _not_set("postgres")
        if _parse_postgres(self.postgres) is None:
            raise SettingsError(f"{_variable('postgres')}: libpq cannot read it; it must be {_FORMS['postgres']}")
        return self.postgres

    def describe_kafka(self) -> str:
        """The bootstrap servers, for messages; no secrets."""
        if self.kafka is None:
            return "(Kafka is not set)"
        servers = self.kafka.get("bootstrap.servers", "")
        return servers if _malformed_server(servers) is None else "(unreadable bootstrap.servers)"

    def describe_redis(self) -> str:
        """host:port/database, or a socket's path and the database, for messages; no secrets."""
        if self.redis is None:
            return "(Redis is not set)"
        url = _split_redis(self.redis)
        if url is None:
            return "(unreadable Redis URL)"
        if url.scheme == "unix":
            return f"{url.path}, database {parse_qs(url.query).get('db', ['0'])[0]}"
        return f"{_bracketed(url.hostname or 'localhost')}:{url.port or 6379}/{url.path.strip('/') or '0'}"

    def describe_postgres(self) -> str:
        """host:port/database as libpq would connect, for messages; no secrets."""
        if self.postgres is None:
            return "(PostgreSQL is not set)"
        parts = _parse_postgres(self.postgres)
        if parts is None:
            return "(unreadable PostgreSQL connection string)"
        host = parts.get("host") or parts.get("hostaddr") or os.environ.get("PGHOST") or "(local socket)"
        port = parts.get("port") or os.environ.get("PGPORT") or "5432"
        database = parts.get("dbname") or os.environ.get("PGDATABASE") or "(default database)"
        if "://" in database or "=" in database:  # libpq takes a whole connection string here
            database = "(database not shown)"
        return f"{_bracketed(host)}:{port}/{database}"

    def __repr__(self) -> str:
        if self.kafka is None:
            kafka = "None"
        else:
            shown = {key: value if key in _SHOWN_PROPERTIES else "***" for key, value in self.kafka.items()}
            shown["bootstrap.servers"] = self.describe_kafka()
            kafka = repr(shown)
        redis = None if self.redis is None else self.describe_redis()
        postgres = None if self.postgres is None else self.describe_postgres()
        return f"Connections(kafka={kafka}, redis={redis!r}, postgres={postgres!r})"


def _variable(name: str) -> str:
    return f"PSEUDOFEED_{name.upper()}"


def _not_set(name: str) -> NoReturn:
    raise SettingsError(
        f"{_SERVERS[name]} is not set: set {_variable(name)} to {_FORMS[name]}; "
        f"`pseudofeed servers up` starts one on this machine and prints the variable"
    )


def _malformed(place: str, name: str, why: str) -> NoReturn:
    raise SettingsError(f"{place}: {why}; it must be {_FORMS[name]} (the text is not shown: it may hold a password)")


def _read_settings_file(file: Path) -> dict[str, str]:
    """The settings in pseudofeed.toml; nothing if there is no such file."""
    if not file.exists():
        return {}
    problems = []
    settings: dict[str, str] = {}
    for key, value in read_toml(file, SettingsError).items():
        if key not in _FORMS:
            close = difflib.get_close_matches(key, _FORMS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(_FORMS)}"
            problems.append(f"{file}: {key}: there is no such key; {hint}")
        elif not isinstance(value, str) or not value.strip():
            problems.append(f"{file}: {key}: must be a text, not empty: {_FORMS[key]}")
        else:
            settings[key] = value
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _refuse_password(name: str, text: str) -> None:
    """Raises SettingsError if an option's text has a password; kafka's can't (a properties file has it)."""
    if name == "redis":
        url = _split_redis(text)
        has_password = url is not None and (url.password is not None or "password" in dict(parse_qsl(url.query)))
    elif name == "postgres":
        parts = _parse_postgres(text)
        if parts is None:
            _malformed(f"option {name}", name, "libpq cannot read it")
        has_password = any(parts.get(key) for key in _POSTGRES_SECRETS)
    else:
        has_password = False
    if has_password:
        raise SettingsError(
            f"option {name}: it holds a password, which everybody on this machine could read in the list of "
            f"processes; set {_variable(name)} or {name} in {SETTINGS_FILE} instead"
        )


# --- Kafka -----------------------------------------------------------------------------------------------------


def _malformed_server(servers: str) -> int | None:
    """Which entry (from 1) of a bootstrap list is not host:port; None if all are."""
    for number, server in enumerate(servers.split(","), start=1):
        match = _HOST_PORT.fullmatch(server.strip())
        if match is None or not 0 < int(match["port"]) < 65536:
            return number
    return None


def _kafka_properties(text: str, place: str, base: Path) -> dict[str, str]:
    text = text.strip()
    malformed = _malformed_server(text)
    if malformed is None:
        return {"bootstrap.servers": ",".join(server.strip() for server in text.split(","))}
    try:
        path = base / Path(text).expanduser()
        if path.is_file():
            return _read_properties(path, place)
    except (OSError, ValueError, RuntimeError):  # a text that is no path at all: too long, a NUL, an unknown ~user
        path = base
    if "/" in text and "://" not in text and _PLAIN_NAME.fullmatch(text):
        raise SettingsError(f"{place}: there is no file {path}; it must be {_FORMS['kafka']}")
    _malformed(place, "kafka", f"no file of this name, and entry {malformed} of the list is not host:port")


def _read_properties(path: Path, place: str) -> dict[str, str]:
    """A librdkafka (and Java) properties file: key=value a line; # and ! begin a comment; no continued lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except (OSError, UnicodeDecodeError) as problem:
        why = "it is not UTF-8 text" if isinstance(problem, UnicodeDecodeError) else problem.strerror
        raise SettingsError(f"{place}: cannot read {path}: {why}") from None
    properties: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line[0] in "#!":
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not re.fullmatch(r"[a-z0-9._]+", key):
            problems.append(f"{path}:{number}: not key=value with a librdkafka property such as bootstrap.servers")
        elif key in lines:
            problems.append(f"{path}:{number}: {key} stands already in line {lines[key]}")
        else:
            properties[key], lines[key] = value, number
    if "bootstrap.servers" not in lines:
        problems.append(f"{path}: bootstrap.servers is missing; add a line bootstrap.servers=host:port")
    elif (entry := _malformed_server(properties["bootstrap.servers"])) is not None:
        problems.append(f"{path}:{lines['bootstrap.servers']}: bootstrap.servers: entry {entry} is not host:port")
    if problems:
        raise SettingsError("\n".join(f"{place}: {problem}" for problem in problems))
    return properties


# --- Redis and PostgreSQL ----------------------------------------------------------------------------------------


def _split_url(text: str) -> SplitResult | None:
    """The URL's parts; None if it is none, or if an unescaped @ / ? # of a password would show up as its host."""
    if text.count("@") > 1:
        return None
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        return None
    if "@" in text and "@" not in url.netloc:
        return None
    return None if port == 0 else url


def _split_redis(text: str) -> SplitResult | None:
    url = _split_url(text)
    if url is None or url.scheme not in ("redis", "rediss", "unix"):
        return None
    if url.scheme == "unix":
        return url if url.path and not url.hostname else None
    return url if re.fullmatch(r"/?\d*", url.path) and _PLAIN_NAME.fullmatch(url.hostname or "") else None


def _checked_redis(text: str, place: str) -> str:
    if _split_redis(text) is None:
        _malformed(place, "redis", "not a Redis URL (special characters of a password are written as %XX)")
    return text.strip()


def _checked_postgres(text: str, place: str) -> str:
    """Only a URL's form is checked here: libpq's own parser comes with psycopg, which not every command loads."""
    if "://" in text and text.split("://")[0] in ("postgresql", "postgres") and _split_postgres(text) is None:
        _malformed(place, "postgres", "not a PostgreSQL URL (special characters of a password are written as %XX)")
    return text.strip()


def _split_postgres(text: str) -> str | None:
    """The text if its user part is unmistakable; a list of hosts, which urlsplit can't read, is libpq's to judge."""
    rest = text.split("://", 1)[1]
    if rest.count("@") > 1 or ("@" in rest and "@" not in re.split(r"[/?#]", rest)[0]):
        return None
    return text


def _parse_postgres(text: str) -> dict[str, str] | None:
    """libpq's reading of the connection string; None if it refuses. Its message is dropped: it may quote a password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    if text.lstrip().startswith(("postgresql://", "postgres://")) and _split_postgres(text) is None:
        return None
    try:
        parts = conninfo_to_dict(text)
    except (ProgrammingError, ValueError):
        return None
    return {key: unquote(str(value)) if key == "host" else str(value) for key, value in parts.items() if value}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
