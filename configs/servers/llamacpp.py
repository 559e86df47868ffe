"""Serves a checkpoint by llama.cpp, on the processor, behind OpenAI's chat completions.

    llamacpp.py --checkpoint DIR --port 8001 --name smollm2 --cache DIR

The checkpoint is a Hugging Face folder of a Llama model, with or without a PEFT adapter, or a
GGUF file of any model that llama.cpp knows. A folder is converted once and the result kept
below `--cache`, named by the digest of what it was made from.

GET /health answers 200 once the model is loaded. SIGTERM ends the process at once, and so does
the end of the process that started it.
"""

import argparse
import hashlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

# Read by OpenMP when it is loaded. Threads that spin while they wait take the processor from
# the sandbox: passive ones generated three times as many tokens on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import xllamacpp
from checkpoint import CheckpointError
from llama_gguf import QUANTS, to_gguf

# The files of a folder that decide what its conversion holds.
CONVERTED = {".json", ".jinja", ".safetensors"}

# Part of a cached file's name: raise it when a conversion gives another file than before.
CONVERSION = "1"

# A loop makes a checkpoint in each round, and goes back to the champion at most.
CACHED_FILES_MAX = 6

# llama.cpp would keep 8 GiB of prompts that no slot holds any more.
PROMPT_CACHE_MIB = 128

PARENT_CHECK_SECONDS = 0.5


def main() -> None:
    args = parse_arguments()
    end_with_parent(os.getppid())
    try:
        model = gguf_of(args)
        started = time.monotonic()
        server = serve(model, args)
    except (OSError, ValueError, RuntimeError, CheckpointError) as error:
        sys.exit(f"error: {error}")
    seconds = time.monotonic() - started
    print(f"ready after {seconds:.1f} s: {server.listening_address}", flush=True)
    # The server's own threads answer; the main thread has nothing to do.
    while True:
        signal.pause()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder, or a GGUF file")
    parser.add_argument("--adapter", default="", help="a PEFT adapter; empty for none")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--name", default="model", help="the model's name in requests")
    parser.add_argument("--cache", type=Path, help="where converted folders are kept")
    parser.add_argument("--quant", choices=QUANTS, default="q8_0", help="of what is converted")
    parser.add_argument("--slots", type=int, default=16, help="conversations served at once")
    parser.add_argument("--context", type=int, default=1024, help="tokens of each conversation")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def end_with_parent(parent: int) -> None:
    """Ends this process when `parent` has ended, also where that was killed.

    Linux would do it by PR_SET_PDEATHSIG, but that is tied to the thread that started this
    process, and an asynchronous runtime ends threads as it likes.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def gguf_of(args: argparse.Namespace) -> Path:
    """The GGUF file to serve: the one given, one made before, or one made now."""
    checkpoint = args.checkpoint
    adapter = Path(args.adapter) if args.adapter else None
    if checkpoint.is_file():
        if adapter:
            raise ValueError("an adapter is merged into a folder, not into a GGUF file")
        return checkpoint
    if args.cache is None:
        raise ValueError("name a folder for the converted checkpoint: --cache DIR")
    folders = [checkpoint, adapter] if adapter else [checkpoint]
    made = args.cache / f"{digest(folders, args.quant)}.gguf"
    if made.exists():
        os.utime(made)  # used last, so removed last
        return made
    args.cache.mkdir(parents=True, exist_ok=True)
    unfinished = made.with_suffix(f".{os.getpid()}.unfinished")
    to_gguf(checkpoint, unfinished, args.quant, adapter)
    os.replace(unfinished, made)
    clean(args.cache)
    return made


def digest(folders: list[Path], quant: str) -> str:
    """Names a conversion by all that it is made from."""
    total = hashlib.sha256(f"{CONVERSION} {quant}\n".encode())
    for folder in folders:
        files = [path for path in folder.iterdir() if path.suffix in CONVERTED]
        for path in sorted(files):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.name} {content}\n".encode())
    return total.hexdigest()[:32]


def clean(cache: Path) -> None:
    """Bounds the cache. A server that has a removed file open goes on reading it."""
    for path in cache.glob("*.unfinished"):
        if not is_running(int(path.suffixes[-2].removeprefix("."))):
            path.unlink(missing_ok=True)
    made = sorted(cache.glob("*.gguf"), key=lambda path: path.stat().st_mtime)
    for path in made[:-CACHED_FILES_MAX]:
        path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def serve(model: Path, args: argparse.Namespace) -> xllamacpp.Server:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {args.name}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.cors_origins = f"http://127.0.0.1:{args.port}"  # else any web page may ask it
    params.n_parallel = args.slots
    params.n_ctx = args.context * args.slots
    params.fit_params = False  # would shorten the context without a word when memory is short
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.cpuparams.n_threads = args.threads
    params.cpuparams_batch.n_threads = args.threads
    params.n_gpu_layers = 0
    params.use_jinja = True
    params.ui = False
    params.endpoint_metrics = True
    params.endpoint_slots = True
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
