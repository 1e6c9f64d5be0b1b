"""Ask the instance in the same container for its health, with its own certificate (argument: its name).

It imports nothing but the standard library: it runs every few seconds in every container.
"""

import http.client
import json
import ssl
import sys
from pathlib import Path


def healthy(folder: Path) -> bool:
    """Tell whether the instance whose settings are in `folder` answers 200 to /health."""
    settings = json.loads((folder / "settings.json").read_text())
    tenant = folder / settings["tenants"][0]["folder"]
    context = ssl.create_default_context(cafile=str(folder / settings["trust"] / "root.pem"))
    context.load_cert_chain(tenant / "certificate.pem", tenant / "certificate.key")
    connection = http.client.HTTPSConnection("localhost", settings["port"], timeout=5, context=context)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(Path("/proeftuin/instances") / sys.argv[1]) else 1)
