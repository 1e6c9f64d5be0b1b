"""openid-client and jose (node) as client of every standard door, over mTLS; skipped where node or npm is not there."""

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.interop.conftest import Parts

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with its libraries, in a folder of its own."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("interop")
    for name in ("package.json", "client.mjs"):
        shutil.copy(HERE / name, folder)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if installed.returncode != 0:
        pytest.skip(f"npm could not install: {installed.stderr.strip().splitlines()[-1:]}")
    return folder / "client.mjs"


def test_openid_client_goes_through_every_door(program: Path, parts: Parts) -> None:
    run = subprocess.run(
        ["node", str(program)], input=json.dumps(asdict(parts), default=str), capture_output=True, text=True, timeout=120,
        cwd=program.parent, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert (found["certificate"]["client_id"], found["certificate"]["scope"]) == (parts.client_id, parts.scope)
    assert found["private_key_jwt"] == "bearer"
    assert found["dpop"] == found["jkt"]
    assert found["id_token"]["dezi_nummer"] == parts.person
    assert found["id_token"]["sub"] == found["userinfo"]["sub"] == found["pushed"][1]
    assert found["pushed"][0] == "dpop"
    assert (found["replayed"], found["verifier"]) == ("code_replayed", "pkce")
    assert found["mixed_up"] != "given", "iss in the answer is another server's (RFC 9207)"
    assert (found["read"], found["exchanged"]) == (200, "patient/Patient.rs")
    assert (found["revoked"], found["bearer"]) == ("token_revoked", "token_scheme")
