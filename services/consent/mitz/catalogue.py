"""How Mitz names organisations and data (catalogue.toml), and which kind of this network that is."""

import tomllib
from pathlib import Path

_DATA = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text())

BSN, URA, UZI = "2.16.840.1.113883.2.4.6.3", "2.16.528.1.1007.3.3", "2.16.528.1.1007.3.1"
PROVIDER_TYPE = "2.16.840.1.113883.2.4.15.1060"
EVENT_CODE = "2.16.840.1.113883.2.4.3.111.5.10.1"
ROLE = "2.16.840.1.113883.2.4.15.111"
PURPOSE = "2.16.840.1.113883.1.11.20448"
AUDIENCE = "urn:oid:2.16.840.1.113883.2.4.3.111.2.1"
CONSULTING_SYSTEM = "http://fhir.nl/otv/CodeSystem/raadplegende-zorgaanbiedercategorie"
TYPE_SYSTEM = "http://nictiz.nl/fhir/NamingSystem/organization-type"

CONSULTING: dict[str, str] = {code: each["name"] for code, each in _DATA["category"].items()}
KINDS_OF: dict[str, list[str]] = {code: each["kinds"] for code, each in _DATA["category"].items()}
KIND_OF_TYPE: dict[str, str] = _DATA["type"]
