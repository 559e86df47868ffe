"""A model server that knows every answer and takes its time: from 50 ms to 5 s each.

    server.py --port=8001

How long a request takes follows from its content, so every run has the same latencies, spread
evenly. PACKING_LOG names the file in which each answer leaves a line with
when its request came, when it was answered, and how long it was meant to take.
"""

import hashlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SHORTEST, LONGEST = 0.05, 5.0

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[3] / "tasks" / "compose"))
from primitives import ROWS  # noqa: E402

LOG = open(os.environ["PACKING_LOG"], "a", buffering=1)
WRITING = threading.Lock()


def programs() -> dict[str, str]:
    """The program for each thing that a task of one step can ask for."""
    known = {}
    for _, source, _, numbers, expression, *phrases in ROWS:
        for number in numbers or [""]:
            for phrase in phrases:
                asked = f"Given a {source}, {phrase}.".replace("@", str(number))
                answer = expression.replace("@", str(number))
                known[asked] = f"```python\ndef solve(x):\n    return {answer}\n```"
    return known


PROGRAMS = programs()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        came = time.time()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(content)
        digest = hashlib.sha256(json.dumps([body["messages"], body["seed"]]).encode())
        share = int.from_bytes(digest.digest()[:8]) / 2**64
        meant = SHORTEST + share * (LONGEST - SHORTEST)
        time.sleep(meant)
        asked = body["messages"][0]["content"].splitlines()[0]
        message = {"role": "assistant", "content": PROGRAMS.get(asked, "I do not know.")}
        self.answer(
            {
                "model": body["model"],
                "choices": [{"message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 40, "completion_tokens": 20},
            }
        )
        line = {"came": came, "answered": time.time(), "meant": meant}
        with WRITING:
            LOG.write(json.dumps(line) + "\n")

    def answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    port = int(sys.argv[1].removeprefix("--port="))
    Server(("127.0.0.1", port), Handler).serve_forever()
