"""Serves a tiny model, trains it on what a dataset holds, and serves the result.

    loop.py CONFIGS RECIPE FOLDER

CONFIGS is the repository's folder of that name, RECIPE a recipe for supervised fine-tuning in it.
The trained model must give each answer of its dataset, character by character, through a server.
"""

import hashlib
import json
import math
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tiny
from tokenizers import Tokenizer

CONFIGS, RECIPE, FOLDER = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
RECIPES, SERVERS = CONFIGS / "trainers", CONFIGS / "servers"
CHECKPOINT, DATASET = FOLDER / "checkpoint", FOLDER / "dataset"
CACHE = FOLDER / "cache"

# Long enough to learn eight answers by heart.
LONG = ["--epochs", "80", "--batch", "4", "--learning-rate", "5e-3"]

TEXTS = ["def solve(x):\n    return x[1:]", "Given a list, 12 + 3.5 naïve 日本 🙂", " \n\n  a  "]


def main() -> None:
    tiny.write_checkpoint(CHECKPOINT, seed=0)
    tiny.write_dataset(DATASET)
    with served(CHECKPOINT) as ask:
        served_ids = [ask.post("/tokenize", {"content": text})["tokens"] for text in TEXTS]
        assert served_ids == token_ids(CHECKPOINT), "a server must cut texts as the trainer does"
        assert answers(ask) != expected(), "an untrained model knows nothing"
    full = train(RECIPE, "full", "--full", *LONG)
    assert full[-1]["loss"] < 0.1 < full[0]["loss"], (full[0], full[-1])
    assert [line["step"] for line in full] == list(range(1, full[0]["steps"] + 1))
    with served(FOLDER / "full") as ask:
        assert answers(ask) == expected(), answers(ask)
    same_seed_gives_same_bytes()
    adapter_and_merged_checkpoint_agree()
    if RECIPE == "trl_sft.py":
        preferences_are_learnt()
    folder_survives_gguf()
    server_ends_with_its_parent()
    for name in ("truncated", "without a template"):
        print(name, refused(name))
    print("all held")


def expected() -> list[str]:
    return [tiny.answer(code) for code in tiny.STEPS.values()]


def answers(ask: "Ask") -> list[str]:
    return [ask.chat(tiny.question(step)) for step in tiny.STEPS]


def same_seed_gives_same_bytes() -> None:
    for output in ("once", "again"):
        train(RECIPE, output, "--epochs", "2", "--batch", "3")
    train(RECIPE, "other", "--epochs", "2", "--batch", "3", seed=2)
    assert weights("once") == weights("again")
    assert weights("once") != weights("other")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (CHECKPOINT / name).read_bytes() == (FOLDER / "once" / name).read_bytes(), name
    assert not (FOLDER / "once" / "epochs").exists(), "copies of epochs are removed at the end"


def adapter_and_merged_checkpoint_agree() -> None:
    lora = ["--rank", "32", "--epochs", "10", "--learning-rate", "1e-2"]
    train(RECIPE, "merged", *lora)
    train(RECIPE, "adapter", *lora, "--adapter-only")
    config = json.loads((FOLDER / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (32, 64)
    with served(FOLDER / "merged") as ask:
        merged = answers(ask)
    with served(CHECKPOINT, FOLDER / "adapter") as ask:
        assert answers(ask) == merged
    with served(CHECKPOINT) as ask:
        assert answers(ask) != merged


def preferences_are_learnt() -> None:
    """A model that is indifferent between two answers gives the wrong one less often after DPO."""
    lines = train("trl_dpo.py", "dpo", "--full", "--epochs", "5", "--learning-rate", "1e-3")
    assert abs(lines[0]["loss"] - math.log(2)) < 1e-3, "at first it is its own reference"
    assert lines[-1]["loss"] < 0.5, lines[-1]


def folder_survives_gguf() -> None:
    """Made into GGUF and back, weights differ by the rounding to bfloat16 alone."""
    convert = [sys.executable, SERVERS / "llama_gguf.py"]
    subprocess.run([*convert, CHECKPOINT, FOLDER / "f32.gguf", "--quant", "f32"], check=True)
    subprocess.run([*convert, FOLDER / "f32.gguf", FOLDER / "back"], check=True)
    before, after = tensors(CHECKPOINT), tensors(FOLDER / "back")
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=2**-8, err_msg=name)
    assert token_ids(CHECKPOINT) == token_ids(FOLDER / "back")


def tensors(folder: Path) -> dict[str, np.ndarray]:
    sys.path.insert(0, str(SERVERS))
    import checkpoint

    return dict(checkpoint.tensors(folder))


def server_ends_with_its_parent() -> None:
    """Killed, a parent cannot stop its server: the server sees it and ends by itself."""
    port = free_port()
    starter = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    command = server_command(CHECKPOINT, None, port)
    parent = subprocess.Popen([sys.executable, "-c", starter, *command])
    Ask(port).wait_until_ready(parent)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_listening(port), "the server ends")


def refused(name: str) -> str:
    """What the server says of a checkpoint that it cannot serve."""
    broken = FOLDER / name.replace(" ", "-")
    broken.mkdir()
    for path in CHECKPOINT.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    if name == "truncated":
        with (broken / "model.safetensors").open("r+b") as file:
            file.truncate(1000)
    else:
        (broken / "chat_template.jinja").unlink()
    command = server_command(broken, None, free_port())
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1 and said.startswith("error: "), ended.stderr
    return said


def train(recipe: str, output: str, *options: str, seed: int = 1) -> list[dict]:
    """Runs a recipe as Gyre does, and gives its lines of progress."""
    folders = ["--dataset", DATASET, "--parent", CHECKPOINT, "--output", FOLDER / output]
    command = [sys.executable, RECIPES / recipe, *folders, "--seed", str(seed), *options]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


def weights(name: str) -> str:
    return hashlib.sha256((FOLDER / name / "model.safetensors").read_bytes()).hexdigest()


class Ask:
    """A client of one server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def chat(self, text: str) -> str:
        messages = [{"role": "user", "content": text}]
        settings = {"model": "tiny", "temperature": 0, "max_tokens": 64}
        made = self.post("/v1/chat/completions", settings | {"messages": messages})
        assert made["model"] == "tiny"
        return made["choices"][0]["message"]["content"]

    def post(self, path: str, body: dict | None) -> dict:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def wait_until_ready(self, process: subprocess.Popen) -> None:
        def ready() -> bool:
            assert process.poll() is None, "the server ended before it was ready"
            try:
                return self.post("/health", None) == {"status": "ok"}
            except (OSError, urllib.error.HTTPError):
                return False

        wait_until(ready, "the server is ready")


def token_ids(checkpoint: Path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return [tokenizer.encode(text).ids for text in TEXTS]


@contextmanager
def served(checkpoint: Path, adapter: Path | None = None) -> Iterator[Ask]:
    port = free_port()
    process = subprocess.Popen(server_command(checkpoint, adapter, port))
    try:
        ask = Ask(port)
        ask.wait_until_ready(process)
        yield ask
    finally:
        process.terminate()
        assert process.wait(timeout=60) == -signal.SIGTERM


def server_command(checkpoint: Path, adapter: Path | None, port: int) -> list[str | Path]:
    model = ["--checkpoint", checkpoint, "--adapter", adapter or "", "--cache", CACHE]
    size = ["--slots", "2", "--context", "512", "--threads", "1", "--quant", "f32"]
    name = ["--port", str(port), "--name", "tiny"]
    return [sys.executable, SERVERS / "llamacpp.py", *model, *size, *name]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, f"after a minute: {what}"
        time.sleep(0.05)


if __name__ == "__main__":
    main()
