"""Run a bare route over mTLS that stores what it receives durably and gives it back: what the log's door is held against."""

import sys
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proeftuin import settings
from proeftuin.sandbox import host
from proeftuin.storage.database import Database
from proeftuin.transport.server import Listener
from proeftuin.transport.trust import Trust, server_context

DOCUMENTS = sa.Table(
    "document", sa.MetaData(), sa.Column("seq", sa.Integer, primary_key=True), sa.Column("content", sa.LargeBinary)
)


def listener(settings_file: Path, folder: Path, port: int) -> Listener:
    """Return the bare service, with the certificate of the instance whose settings these are."""
    loaded = settings.load(settings_file)
    database = Database(f"sqlite:///{folder / 'bare.sqlite'}")
    DOCUMENTS.metadata.create_all(database.engine)
    insert = DOCUMENTS.insert()

    async def store(request: Request) -> Response:
        content = await request.body()
        await database.write(lambda connection: connection.execute(insert, {"content": content}))
        return Response(content, 201, media_type="application/fhir+json")

    context = server_context(loaded.certificate, loaded.key, Trust(loaded.trust), lambda *_: None)
    return Listener(Starlette(routes=[Route("/", store, methods=["POST"])]), loaded.host, port, context)


if __name__ == "__main__":
    host.configure_logging()
    host.run([partial(listener, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))])
