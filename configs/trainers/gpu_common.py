"""What the recipes for programs that need a GPU share: running them, and finding what they left."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import recipe


def parser(description: str) -> argparse.ArgumentParser:
    made = recipe.parser(description)
    made.add_argument("--gpus", type=int, default=1)
    made.add_argument(
        "--print", action="store_true", help="print what would be run and its settings, and end"
    )
    return made


def work_folder(args: argparse.Namespace) -> Path:
    """Where the program keeps its own files; removed at the end."""
    folder = args.output / "work"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(command: list[str]) -> None:
    """Runs the program, whose own output is log, and ends with its exit code if it failed."""
    print("$", *command, flush=True)
    try:
        ended = subprocess.run(command, check=False)
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename} is not installed where this Python looks for programs")
    if ended.returncode:
        sys.exit(ended.returncode)


def show(command: list[str], settings: object) -> None:
    print(json.dumps({"command": command, "settings": settings}, indent=2, default=str))


def keep_newest(parent: Path, pattern: str, args: argparse.Namespace) -> None:
    """Moves the checkpoint of the last step into the output, and removes the rest."""

    def step(path: Path) -> int:
        named = next(part for part in reversed(path.parts) if part.rpartition("_")[2].isdigit())
        return int(named.rpartition("_")[2])

    found = sorted(parent.glob(pattern), key=step)
    if not found:
        sys.exit(f"error: the program ended well and left no {pattern} in {parent}")
    for path in found[-1].iterdir():
        shutil.move(path, args.output / path.name)
    shutil.rmtree(args.output / "work")
