"""The process of the Rego engine: answers one JSON line for each that comes in, on the socket that is its standard input.

`{"key", "load": {"modules", "data", "rules"}}` compiles a set of policies; `{"key", "rule", "facts"}` evaluates a rule of one. The
answer is a `value`, or `{"unknown": true}` when that set is not loaded, or a `fault`, in words. Each request says after how many
seconds it is of no use (`within`), each answer has `rss`, the bytes that this process holds. Only regopy is imported beside the
standard library: no other C++ library may be here. It ends when the other end closes, however that came. Started by rego.py.
"""

import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from regopy import Interpreter

KEPT = 4  # sets that stay loaded, those used last
Compiled = tuple[Interpreter, dict[str, Any]]  # and its rules, by name


def compiled(policies: dict[str, Any]) -> Compiled:
    """Return a set of policies that can be asked; raises RegoError."""
    interpreter = Interpreter()
    for name, text in policies["modules"].items():
        interpreter.add_module(name, text)
    interpreter.add_data(policies["data"])
    return interpreter, {rule: interpreter.build(f"data.{rule}") for rule in policies["rules"]}


def answer(sets: dict[str, Compiled], request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; `sets` are those loaded, the one used last at the end."""
    key = request["key"]
    if "load" in request:
        sets.pop(key, None)
        sets[key] = compiled(request["load"])
        if len(sets) > KEPT:
            del sets[next(iter(sets))]
        return {"value": None}
    if key not in sets:
        return {"unknown": True}
    interpreter, rules = sets[key] = sets.pop(key)
    interpreter.set_input(request["facts"])
    return {"value": json.loads(str(interpreter.query_bundle(rules[request["rule"]])))["expressions"][0]}


def rss() -> int:
    """Return the bytes of memory in use; where the system does not tell, the most that they ever were."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Answer until the other end closes."""
    sets: dict[str, Compiled] = {}
    with socket.socket(fileno=0) as end, end.makefile("rb") as lines:
        for line in lines:
            request = json.loads(line)
            signal.alarm(request["within"] + 1)  # ends a process that hangs, also when who asked is gone
            try:
                said = answer(sets, request)
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told, and denies
                said = {"fault": f"{type(error).__name__}: {error}"}
            signal.alarm(0)
            end.sendall(json.dumps(said | {"rss": rss()}).encode() + b"\n")


if __name__ == "__main__":
    main()
