"""The SPARQL door: validated questions, answered with aggregates; no client is named, none can be found in the answer."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from proeftuin.access.admission import Admitted
from proeftuin.access.rendering import json_response, problem
from proeftuin.access.requirement import require
from proeftuin.access.route import guarded
from proeftuin.audit.events import VALIDATED_QUESTION
from proeftuin.reasons import PARAMETER_INVALID, Refused
from services.datastation.graph import Graph
from services.datastation.questions import Question, answer, choose
from services.datastation.source import Source

SCOPE = "system/kik-v.s"


def router(sources: dict[str, Source], questions: dict[str, Question]) -> APIRouter:
    """Return the routes of the SPARQL door."""
    routes = guarded(problem)
    graphs = {party: Graph() for party in sources}

    @routes.get("/{party}/sparql/questions")
    @require()
    async def catalogue(admission: Admitted, party: str) -> Response:  # noqa: ARG001 - every handler is admitted
        """The validated questions: id, digest, parameters and text."""
        content = [
            {"id": each.id, "sha256": each.digest, "parameters": list(each.parameters), "sparql": each.sparql}
            for each in questions.values()
        ]
        return json_response({"questions": content})

    @routes.post("/{party}/sparql")
    @require(SCOPE, event=VALIDATED_QUESTION, media_types=("application/json",), max_body=65536)
    async def ask(admission: Admitted, party: str) -> Response:
        """Answer `{"question": id, "parameters": {"peildatum": "2026-07-01"}}` with SPARQL 1.1 Query Results JSON."""
        body = await admission.json_object()
        question = choose(questions, body.get("question"))
        parameters = body.get("parameters", {})
        if not isinstance(parameters, dict):
            raise Refused(PARAMETER_INVALID, "parameters is an object")
        query = question.bind(parameters)
        admission.record.query = query.encode()
        admission.record.details |= {"question": question.id, "sha256": question.digest}
        await sources[party].check_live(admission)
        graph = graphs[party]
        await admission.tenant.database.read(graph.refresh)
        found = await asyncio.to_thread(answer, graph.store, query)
        return json_response(found, media_type="application/sparql-results+json")

    return routes
