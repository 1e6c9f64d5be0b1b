"""Looking through the log as an auditor: a party's privacy officer, or the supervisor for a case."""

from typing import Any
from urllib.parse import urlencode

from proeftuin.sandbox.home import Home
from proeftuin.sandbox.seeding import care_system
from proeftuin.sandbox.topology import only

MOST_PAGES = 20


async def ask(
    home: Home, party: str, question: list[tuple[str, str]], ground: dict[str, str], *, patterns: bool
) -> list[dict[str, Any]]:
    """Return the findings (`patterns`) or the events that answer `question`, newest first; raises Stopped when it is refused.

    With `legal_basis` in `ground` the supervisor asks about `party`, else its own privacy officer does.
    """
    supervised = "legal_basis" in ground
    asking = only(home.seed, "toezichthouder") if supervised else party
    form = [*question, *ground.items(), *([("party", party)] if supervised else [])]
    body: dict[str, Any] = {"body": urlencode(form).encode(), "content_type": "application/x-www-form-urlencoded"}
    system = care_system(home, asking)
    try:
        await system.discover()
        token = await system.national_token("logging", "log:supervise" if supervised else "log:audit")
        base = system.services["logging"]
        if patterns:
            answer = await system.get(
                "find what deserves a look", "logging", "POST", f"{base}/audit/patterns", form=form, token=token
            )
            findings: list[dict[str, Any]] = answer["findings"]
            return findings
        events: list[dict[str, Any]] = []
        url = f"{base}/audit/AuditEvent/_search"
        for _ in range(MOST_PAGES):
            page = await system.get("search the log", "logging", "POST", url, token=token, **body)
            events += [entry["resource"] for entry in page.get("entry", [])]
            url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
            if not url:
                break
        return events
    finally:
        await system.close()
