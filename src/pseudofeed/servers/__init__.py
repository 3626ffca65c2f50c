"""The servers behind the pipe: real ones started on this machine (`up`, `down`, `status`), or embedded ones for a demo.

lifecycle.py chooses between Docker (docker.py) and Debian's packages (debian.py); embedded.py needs neither.
"""

from __future__ import annotations

from pseudofeed.servers.embedded import EmbeddedServers
from pseudofeed.servers.lifecycle import down, status, up
from pseudofeed.servers.settings import Endpoints, ServerSettings, ServerStatus

__all__ = ["EmbeddedServers", "Endpoints", "ServerSettings", "ServerStatus", "down", "status", "up"]
