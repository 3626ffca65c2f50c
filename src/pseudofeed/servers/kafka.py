"""One Kafka broker in KRaft mode, from its Maven artifacts."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from pseudofeed.errors import ServerError
from pseudofeed.servers.settings import ServerSettings
from pseudofeed.servers.tools import Report, remove_tree, run

__all__ = ["KAFKA_VERSION", "command", "fetch_jars", "format_storage", "server_properties"]

KAFKA_VERSION = "4.3.0"

# kafka-tools brings the storage tool's dependencies; without slf4j-simple the broker would log nothing at all.
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pseudofeed</groupId>
  <artifactId>kafka-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


def jars_folder(settings: ServerSettings) -> Path:
    return settings.cache / f"kafka-{KAFKA_VERSION}"


def data_folder(settings: ServerSettings) -> Path:
    return settings.home / "kafka"


def fetch_jars(settings: ServerSettings, *, lock: int, report: Report) -> None:
    """Download the broker's jars into the cache, once. The folder appears under its name when it is complete."""
    folder = jars_folder(settings)
    if folder.is_dir():
        return
    report(f"downloading Kafka {KAFKA_VERSION} from Maven (about 60 MB, once)")
    partial = folder.with_name(folder.name + ".partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    (partial / "pom.xml").write_text(_POM)
    run(
        [
            *("mvn", "--batch-mode", "--quiet", "--file", str(partial / "pom.xml")),
            *("dependency:copy-dependencies", f"-DoutputDirectory={partial / 'libs'}"),
        ],
        log=settings.home / "log" / "maven.log",
        what="Maven's download of Kafka",
        lock=lock,
    )
    partial.replace(folder)


def check_java() -> None:
    """Kafka 4's broker needs Java 17 (KIP-1013). ServerError names what was found."""
    java = shutil.which("java")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr if java else ""
    found = re.search(r'version "(\d+)', answer)
    if found is None or int(found[1]) < 17:
        raise ServerError(
            f"Kafka {KAFKA_VERSION} needs Java 17 or newer; found {answer.splitlines()[0] if answer else 'none'}. "
            "Install a newer Java and put it first on PATH"
        )


def server_properties(settings: ServerSettings) -> str:
    """The broker's configuration: one node that is broker and controller, reachable from this machine only."""
    broker, controller = settings.kafka_port, settings.kafka_controller_port
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data_folder(settings) / "data"),
        # A mistyped topic must be an error, not a new topic with the wrong number of partitions.
        "auto.create.topics.enable": "false",
        # One broker can hold one replica of its own topics, too.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # 50 partitions each are for clusters: here they are only files to open at every start.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        # The wait for more members of a new group is for fleets of consumers: here it is 3 s at each worker's start.
        "group.initial.rebalance.delay.ms": "0",
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def java_command(settings: ServerSettings, *program: str) -> list[str]:
    # 1 GiB: the recipe; the broker's data lives in the page cache, not in the heap.
    heap = ["-Xms256m", "-Xmx1g", "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    return ["java", *heap, "-cp", f"{jars_folder(settings) / 'libs'}/*", *program]


def format_storage(settings: ServerSettings, *, lock: int, report: Report) -> Path:
    """Write server.properties and, the first time, format the log folder. Returns the properties file."""
    folder = data_folder(settings)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(server_properties(settings))
    if not (folder / "data" / "meta.properties").exists():
        report("formatting Kafka's log folder")
        # Any 16 bytes in base64url will do, but no id may begin with a dash.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "x")
        run(
            [
                *java_command(settings, "kafka.tools.StorageTool", "format", "--ignore-formatted"),
                *("--cluster-id", cluster, "--config", str(properties)),
            ],
            log=settings.home / "log" / "kafka-format.log",
            what="formatting Kafka's log folder",
            lock=lock,
        )
    return properties


def command(settings: ServerSettings) -> list[str]:
    """What runs the broker in the foreground."""
    return java_command(settings, "kafka.Kafka", str(data_folder(settings) / "server.properties"))
