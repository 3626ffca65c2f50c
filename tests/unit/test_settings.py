"""Where settings come from, what is refused, and that no password is ever shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pseudofeed.errors import SettingsError
from pseudofeed.settings import Connections


def resolve(directory: Path, environ: Mapping[str, str], **options: str) -> Connections:
    return Connections.resolve(environ=environ, directory=directory, **options)


def test_options_come_before_variables_and_variables_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "pseudofeed.toml").write_text(
        'kafka = "file:1"\nredis = "redis://file"\npostgres = "host=file dbname=d"\n'
    )
    environ = {"PSEUDOFEED_KAFKA": "variable:2", "PSEUDOFEED_REDIS": "redis://variable", "PSEUDOFEED_POSTGRES": "  "}
    connections = resolve(tmp_path, environ, kafka="option:3, other:4")
    assert connections.require_kafka() == {"bootstrap.servers": "option:3,other:4"}
    assert connections.require_redis() == "redis://variable"
    assert connections.require_postgres() == "host=file dbname=d"
    assert connections.describe_redis() == "variable:6379/0"
    assert connections.describe_postgres() == "file:5432/d"


@pytest.mark.parametrize("name", ["kafka", "redis", "postgres"])
def test_a_setting_that_is_needed_and_missing_names_its_variable(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"PSEUDOFEED_{name.upper()}.*pseudofeed servers up"):
        getattr(resolve(tmp_path, {}), f"require_{name}")()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("redis", "redis://:secret@h:1/0"),
        ("redis", "redis://h:1/0?password=secret"),
        ("postgres", "postgresql://u:secret@h/d"),
        ("postgres", "host=h password=secret"),
        ("postgres", "postgresql://h/d?password=secret"),
    ],
)
def test_a_password_in_an_option_is_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"option {name}.*PSEUDOFEED_{name.upper()}") as caught:
        resolve(tmp_path, {}, **{name: text})
    assert "secret" not in str(caught.value)
    place = {f"PSEUDOFEED_{name.upper()}": text}
    assert getattr(resolve(tmp_path, place), f"require_{name}")() == text


def test_a_properties_file_is_read_and_its_relative_path_counts_from_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "kafka.properties").write_text(
        "# ours\nbootstrap.servers = a:1,b:2\n\n! more\nsasl.password=x=y z\nsecurity.protocol=SASL_SSL\n"
    )
    (tmp_path / "pseudofeed.toml").write_text('kafka = "kafka.properties"\n')
    connections = resolve(tmp_path, {})
    assert connections.require_kafka()["sasl.password"] == "x=y z"
    assert connections.describe_kafka() == "a:1,b:2"
    assert "x=y" not in repr(connections)
    assert "SASL_SSL" in repr(connections)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "kafka.properties").write_text("bootstrap.servers=a:1\n", encoding="utf-8-sig")
    (tmp_path / "pseudofeed.toml").write_text('kafka = "kafka.properties"\n', encoding="utf-8-sig")
    assert resolve(tmp_path, {}).require_kafka() == {"bootstrap.servers": "a:1"}


def test_each_mistake_of_a_properties_file_has_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("client.id=a\nhunter2\nclient.id=b\n")
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path, {"PSEUDOFEED_KAFKA": str(file)})
    text = str(caught.value)
    assert f"{file}:2: not key=value" in text
    assert f"{file}:3: client.id stands already in line 1" in text
    assert f"{file}: bootstrap.servers is missing" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('redsi = "redis://h"\n', "redsi: there is no such key; did you mean redis"),
        ("redis = 5\n", "redis: must be a text"),
        ('kafka = "h:1"\nredis =\n', "line 2, column 8: not valid TOML"),
        ('redis = "http://h"\n', "redis: not a Redis URL"),
        ('kafka = "h:1,h"\n', "kafka: .*entry 2 of the list is not host:port"),
        ('kafka = "no/such.properties"\n', "there is no file .*no/such.properties"),
    ],
)
def test_mistakes_in_the_settings_file_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pseudofeed.toml").write_text(content)
    with pytest.raises(SettingsError, match=message) as caught:
        resolve(tmp_path, {})
    assert str(tmp_path / "pseudofeed.toml") in str(caught.value)


MARKER = "hunter2marker"
SPECIAL = st.text("ab1@/:?#%' \\&[].,", max_size=6)
NAMES = ("kafka", "redis", "postgres")


def shown_texts(connections: Connections) -> list[str]:
    texts = [repr(connections), str(connections), f"{connections}"]
    return texts + [getattr(connections, f"describe_{name}")() for name in NAMES]


@given(SPECIAL, SPECIAL, st.booleans())
def test_a_password_is_never_shown(before: str, after: str, escaped: bool) -> None:
    password = before + MARKER + after
    secret = quote(password, safe="") if escaped else password
    settings = [("kafka", f"u:{password}@h:1"), ("kafka", f"sasl.password={secret}")]
    settings += [("redis", f"redis://:{secret}@h:1/0"), ("redis", f"redis://u:{secret}@h")]
    settings += [("redis", f"redis://h/0?password={secret}"), ("redis", f"unix:///run/r.sock?password={secret}")]
    settings += [("postgres", f"postgresql://u:{secret}@h:1/d"), ("postgres", f"postgresql://h/d?password={secret}")]
    settings += [("postgres", f"host=h password='{secret}' dbname=d"), ("postgres", f"host=h password={secret}")]
    kafka = {"bootstrap.servers": f"u:{secret}@h:1", "sasl.password": password}
    for name, text in settings:
        shown = shown_texts(Connections(kafka=kafka, **{name: text}) if name != "kafka" else Connections(kafka=kafka))
        try:
            connections = resolve(Path("/nowhere"), {f"PSEUDOFEED_{name.upper()}": text})
            shown += shown_texts(connections)
            getattr(connections, f"require_{name}")()
        except SettingsError as error:
            shown.append(repr(error))
        try:
            shown += shown_texts(resolve(Path("/nowhere"), {}, **{name: text}))
        except SettingsError as error:
            shown.append(repr(error))
        assert not [line for line in shown if MARKER in line]
