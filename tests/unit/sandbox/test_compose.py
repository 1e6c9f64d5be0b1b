"""The containers follow from the identity seed."""

from proeftuin import parties
from proeftuin.sandbox import compose, topology
from tests.conftest import ROOT


def test_the_compose_file_is_the_one_of_parties_toml() -> None:
    instances = topology.of(parties.load(ROOT / "parties.toml")).instances
    assert (ROOT / "docker-compose.yml").read_text() == compose.render(instances)
