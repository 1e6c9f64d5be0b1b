# One image for every instance; which one it is, and its secrets, come at run time.
FROM python:3.11-slim-bookworm
# the Rego engine's wheel asks for libatomic, which only a compiler brings along
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libatomic1 >/dev/null && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home proeftuin
WORKDIR /app
COPY requirements/main.txt requirements/main.txt
RUN python -m pip install --no-cache-dir --quiet --require-hashes -r requirements/main.txt
COPY pyproject.toml parties.toml ./
COPY scripts/container-prepare scripts/container-prepare
COPY proeftuin proeftuin
COPY services services
# the mount points of the volumes exist here, so that a new volume belongs to the user
RUN python -m compileall -q proeftuin services \
    && mkdir -p /proeftuin/shared /trust \
    && python -c "from pathlib import Path; from proeftuin import parties; from proeftuin.sandbox import topology; [Path('/proeftuin/instances', each.name).mkdir(parents=True) for each in topology.of(parties.load(Path('parties.toml'))).instances]" \
    && cp parties.toml /proeftuin/parties.toml && chown -R proeftuin /proeftuin /trust
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PROEFTUIN_HOME=/proeftuin
USER proeftuin
ENTRYPOINT ["python", "-m", "proeftuin"]
