"""docker-compose.yml, written from the identity seed: `python -m proeftuin.sandbox.compose > docker-compose.yml`."""

import json
import sys
from pathlib import Path

from proeftuin import parties
from proeftuin.sandbox import topology
from proeftuin.sandbox.topology import Instance

_HEAD = """\
# The network in containers: one for each instance of parties.toml, PostgreSQL behind them, the CA in none of them.
# `prepare` makes certificates, settings and a database role for each; an instance sees its own volume and what all
# may read: the PKI's public part, the registered OAuth clients and the sandbox's clock.
# Written by `python -m proeftuin.sandbox.compose > docker-compose.yml`: change parties.toml or that module, not this file.
version: "3.8"

x-common: &common
  image: proeftuin:local
  user: proeftuin
  read_only: true
  tmpfs: ["/tmp:exec"] # rbcl unpacks its library there
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]

x-instance: &instance
  <<: *common
  restart: unless-stopped
  environment:
    PROEFTUIN_HOST: 0.0.0.0
    PROEFTUIN_CONNECT_TO: '{connect_to}'
  depends_on:
    prepare: {{condition: service_completed_successfully}}

services:
  postgres:
    image: postgres:15-bookworm
    command: ["postgres", "-c", "max_connections=400"]
    environment:
      POSTGRES_USER: proeftuin
      POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD:-proeftuin}}
      POSTGRES_DB: postgres
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -h 127.0.0.1 -U proeftuin"]
      interval: 2s
      retries: 60
    volumes: ["database:/var/lib/postgresql/data"]

  prepare:
    <<: *common
    build: .
    entrypoint: ["sh", "scripts/container-prepare"]
    environment:
      PROEFTUIN_DATABASE_SERVER: postgresql+psycopg://proeftuin:${{POSTGRES_PASSWORD:-proeftuin}}@postgres:5432
    depends_on:
      postgres: {{condition: service_healthy}}
    volumes:
      - home:/proeftuin
      - trust:/trust
      - shared:/proeftuin/shared
"""

_INSTANCE = """
  {name}:
    <<: *instance
    command: [serve, {name}]
    ports: ["127.0.0.1:{port}:{port}"]
    volumes: ["{name}:/proeftuin/instances/{name}", "trust:/proeftuin/pki/trust:ro", "shared:/proeftuin/shared:ro"]
    healthcheck:
      test: [CMD, python, -m, proeftuin.sandbox.container_health, {name}]
      interval: 5s
      start_period: 60s
      retries: 12
"""


def render(instances: tuple[Instance, ...]) -> str:
    """Return the compose file of these instances."""
    names = [instance.name for instance in instances]
    connect_to = {f"localhost:{instance.port}": f"{instance.name}:{instance.port}" for instance in instances}
    head = _HEAD.format(connect_to=json.dumps(connect_to))
    mounts = "".join(f"      - {name}:/proeftuin/instances/{name}\n" for name in names)
    services = "".join(_INSTANCE.format(name=instance.name, port=instance.port) for instance in instances)
    volumes = "".join(f"  {name}:\n" for name in ["home", "trust", "shared", "database", *names])
    return f"{head}{mounts}{services}\nvolumes:\n{volumes}"


if __name__ == "__main__":
    seed = parties.load(Path(__file__).parent.parent.parent / "parties.toml")
    sys.stdout.write(render(topology.of(seed).instances))
