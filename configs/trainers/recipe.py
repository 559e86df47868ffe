"""What the recipes of this folder share: arguments, rows, and the lines that Gyre reads.

Gyre starts a trainer with folders and reads its standard output. A line that is a JSON object
with a step is progress, every other line is log:

    {"step": 12, "steps": 90, "loss": 0.41, "tokens": 10240}
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar

# Everything is on this machine. Set before the libraries that read it are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads that spin while they wait take the processor from whatever else runs here.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# What a checkpoint holds beside its weights.
CONFIG_FILES = {"config.json", "generation_config.json", "model.safetensors.index.json"}
TOKENIZER_FILES = {
    "added_tokens.json",
    "chat_template.jinja",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
}

Row = dict[str, Any]
Item = TypeVar("Item")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that Gyre fills in, and the settings that all recipes have."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = made.add_argument
    add("--dataset", type=Path, required=True, help="folder that Gyre published")
    add("--parent", type=Path, required=True, help="Hugging Face folder to start from")
    add("--output", type=Path, required=True, help="folder to leave the result in")
    add("--seed", type=seed, required=True)
    add("--rows-max", type=int, help="train on the last rows only, the newest rounds' rows")
    add("--full", action="store_true", help="train all weights rather than a LoRA adapter")
    add("--rank", type=int, default=16, help="of the adapter; its alpha is twice the rank")
    add("--adapter-only", action="store_true", help="leave the PEFT adapter, not merged")
    add("--epochs", type=int, default=2)
    add("--batch", type=int, default=8, help="rows of one step")
    add("--learning-rate", type=float, default=5e-4, help="highest, after the warm-up")
    add("--warmup", type=int, default=3, help="steps until the highest learning rate")
    add("--max-length", type=int, default=512, help="tokens; longer rows are left out")
    add("--threads", type=int, default=os.cpu_count() or 1)
    return made


def seed(text: str) -> int:
    """A seed of any size as one of 32 bits, the largest that NumPy takes."""
    return int(text) % 2**32


def load_rows(dataset: Path, view: str, rows_max: int | None) -> list[Row]:
    """The rows of one configuration of a published dataset, oldest first."""
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(str(dataset), view, split="train", cache_dir=cache)
        rows = loaded.to_list()
    if not rows:
        raise SystemExit(f"error: {dataset}: the configuration {view} has no rows")
    return rows[-rows_max:] if rows_max else rows


def token_ids(tokenizer: Any, messages: list[Row], row: Row, answering: bool) -> list[int]:
    """A conversation as the server's chat template writes it."""
    rendered = tokenizer.apply_chat_template(
        messages,
        tools=row.get("tools") or None,
        add_generation_prompt=answering,
        tokenize=True,
        return_dict=False,
    )
    return list(rendered)


def encode(tokenizer: Any, row: Row) -> tuple[list[int], int]:
    """The tokens of a row, and how many of them are its prompt and carry no loss."""
    prompt = token_ids(tokenizer, row["prompt"], row, answering=True)
    whole = token_ids(tokenizer, row["prompt"] + row["completion"], row, answering=False)
    if whole[: len(prompt)] != prompt:
        raise SystemExit(
            "error: with this model's chat template an answer does not follow its prompt: "
            "what the model would learn is not what a server samples"
        )
    answer = tokenizer.decode(whole[len(prompt) :])
    for call in (call for message in row["completion"] for call in message.get("tool_calls") or ()):
        if call["function"]["name"] not in answer:
            raise SystemExit(
                "error: this model's chat template leaves tool calls out, so the answers are "
                "empty: train on --view prompt_completion"
            )
    return whole, len(prompt)


def without_long(rows: list[Item], lengths: list[int], max_length: int) -> list[Item]:
    """Leaves out what does not fit: a row that is cut has lost the end of its answer."""
    kept = [row for row, length in zip(rows, lengths) if length <= max_length]
    if len(kept) < len(rows):
        print(f"{len(rows) - len(kept)} of {len(rows)} rows are longer than {max_length} tokens")
    if not kept:
        raise SystemExit(f"error: no row has at most {max_length} tokens; raise --max-length")
    return kept


def copy(parent: Path, output: Path, names: set[str]) -> None:
    """Copies files that training leaves as they are, byte for byte."""
    for name in sorted(names):
        if (parent / name).exists():
            shutil.copyfile(parent / name, output / name)


def report(step: int, steps: int, loss: float, tokens: int) -> None:
    """Prints one line of progress; `tokens` counts from the beginning of the training."""
    line = {"step": step, "steps": steps, "loss": round(loss, 6), "tokens": tokens}
    print(json.dumps(line), flush=True)
