"""Sends ten recorded conversations to three real servers of a tiny model.

    conversations.py EXAMPLE FOLDER

EXAMPLE is the built example `conversations` of gyre-model. What is sent must be the same for
every server, and be what crates/gyre-model/tests/conversations/sent.json holds. What each server
makes of it is printed: docs/models.md has the table.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXAMPLE, FOLDER = Path(sys.argv[1]), Path(sys.argv[2]).absolute()
REPOSITORY = Path(__file__).parents[3]
RECORDED = REPOSITORY / "crates/gyre-model/tests/conversations"
SERVERS = REPOSITORY / "configs/servers"
BIN = Path(sys.executable).parent

sys.dont_write_bytecode = True
sys.path.insert(0, str(REPOSITORY / "xtask/tests/recipes"))
import tiny  # noqa: E402

NAME = "tiny"
READY_SECONDS = 180


def main() -> None:
    checkpoint = FOLDER / "checkpoint"
    tiny.write_checkpoint(checkpoint, seed=0)
    expected = json.loads((RECORDED / "sent.json").read_text())
    answers = {}
    for name, command in commands(checkpoint).items():
        with served(command) as url:
            lines = conversations(url)
        sent = [line["request"] for line in lines]
        assert all(request.pop("model") == NAME for request in sent), name
        assert sent == expected, f"{name} was sent something else than the others"
        answers[name] = lines
    for at, line in enumerate(next(iter(answers.values()))):
        print(f"{at + 1}. {line['about']}")
        for name, lines in answers.items():
            print(f"   {name:<12} {told(lines[at]['answered'])}")
    print(f"{len(expected)} conversations gave the same requests to {', '.join(answers)}")


def commands(checkpoint: Path) -> dict[str, list[str | Path]]:
    """Each server's command, in which PORT stands for its port."""
    llama = ["--checkpoint", checkpoint, "--port", "PORT", "--name", NAME, "--quant", "f32"]
    size = ["--cache", FOLDER / "cache", "--slots", "2", "--context", "1024"]
    named = [sys.executable, SERVERS / "named.py", "--checkpoint", checkpoint, "--name", NAME]
    host = ["--host", "127.0.0.1", "--port", "PORT"]
    return {
        "llama.cpp": [sys.executable, SERVERS / "llamacpp.py", *llama, *size],
        "mlx-lm": [*named, "--", BIN / "mlx_lm.server", "--model", NAME, *host],
        "transformers": [*named, "--", BIN / "transformers", "serve", NAME, *host, "--device=cpu"],
    }


@contextmanager
def served(command: list[str | Path]) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    log = FOLDER / "server.log"
    line = [str(port) if word == "PORT" else word for word in command]
    with log.open("wb") as file:
        server = subprocess.Popen(line, stdout=file, stderr=file, env=os.environ)
    try:
        wait_until_ready(port, server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_until_ready(port: int, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.1)
    raise AssertionError(f"not ready after {READY_SECONDS} s: {log.read_text()[-2000:]}")


def conversations(url: str) -> list[dict[str, Any]]:
    command = [EXAMPLE, RECORDED / "recorded.json", url, NAME]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def told(answered: dict[str, Any]) -> str:
    if "error" in answered:
        return answered["error"]
    calls = f", {answered['calls']} calls" if answered["calls"] else ""
    return f"answered ({answered['finish']}{calls})"


if __name__ == "__main__":
    main()
