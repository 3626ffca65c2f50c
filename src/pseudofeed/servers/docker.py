"""The servers in containers, by the compose.yaml beside this file (the repository's root has a link to it)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pseudofeed.servers import probe
from pseudofeed.servers.postgres import create_database, read_or_make_password
from pseudofeed.servers.settings import Endpoints, ServerSettings
from pseudofeed.servers.tools import Report, run

__all__ = ["engine_answers", "owned", "start", "stop"]

COMPOSE_FILE = Path(__file__).with_name("compose.yaml")


def engine_answers() -> bool:
    """Whether a Docker engine (a client alone is not enough) and its compose plugin are there."""
    if shutil.which("docker") is None:
        return False
    for question in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            if subprocess.run(question, capture_output=True, timeout=20, check=False).returncode != 0:
                return False
        except (OSError, subprocess.TimeoutExpired):
            return False
    return True


def owned(settings: ServerSettings) -> bool:
    """Whether `start` has started containers that `stop` has not ended."""
    return _marker(settings).exists()


def start(settings: ServerSettings, *, lock: int, report: Report) -> Endpoints:
    """Create and start the containers, and wait until each server answers."""
    password = read_or_make_password(settings)
    report("starting the containers of compose.yaml (the first time they are downloaded)")
    _marker(settings).parent.mkdir(parents=True, exist_ok=True)
    _marker(settings).touch()
    _compose(settings, "up", "--detach", "--wait", lock=lock)
    endpoints = Endpoints.of(settings, password=password)
    for question in (
        lambda: probe.kafka_version({"bootstrap.servers": endpoints.kafka}),
        lambda: probe.redis_version(endpoints.redis),
        lambda: probe.postgres_version(endpoints.postgres),
    ):
        probe.wait_for(question, seconds=90, still_possible=lambda: True)
    create_database(endpoints.postgres)
    return endpoints


def stop(settings: ServerSettings, *, lock: int, report: Report) -> None:
    """End and remove the containers; their volumes, and so the data, stay."""
    _compose(settings, "down", lock=lock)
    _marker(settings).unlink(missing_ok=True)
    report("the containers are down")


def _compose(settings: ServerSettings, *arguments: str, lock: int) -> None:
    log = settings.home / "log" / "docker.log"
    project = f"pseudofeed-{settings.kafka_port}"  # servers on other ports are other containers
    run(
        ["docker", "compose", "--project-name", project, "--file", str(COMPOSE_FILE), *arguments],
        log=log,
        what=f"docker compose {arguments[0]}",
        lock=lock,
        environment={
            "PSEUDOFEED_KAFKA_PORT": str(settings.kafka_port),
            "PSEUDOFEED_KAFKA_CONTROLLER_PORT": str(settings.kafka_controller_port),
            "PSEUDOFEED_REDIS_PORT": str(settings.redis_port),
            "PSEUDOFEED_POSTGRES_PORT": str(settings.postgres_port),
            "PSEUDOFEED_POSTGRES_PASSWORD": read_or_make_password(settings),
        },
    )


def _marker(settings: ServerSettings) -> Path:
    return settings.home / "run" / "docker"
