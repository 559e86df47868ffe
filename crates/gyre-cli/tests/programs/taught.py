"""Makes a tiny checkpoint that can do a few of the steps that tasks are made of.

    taught.py REPOSITORY FOLDER

Its 0.4 million weights are random at first. Then the recipe `mlx_sft.py` trains them on
demonstrations, which are asked for in the words that Gyre uses. What comes of it passes some
tasks and fails most: enough for a loop to begin. FOLDER/checkpoint is the result.
"""

import subprocess
import sys
from pathlib import Path

REPOSITORY, FOLDER = map(Path, sys.argv[1:])
sys.dont_write_bytecode = True
sys.path[:0] = [str(REPOSITORY / "tasks/compose"), str(REPOSITORY / "xtask/tests/recipes")]

import tiny  # noqa: E402
from primitives import ROWS  # noqa: E402

# As gyre-env tells a model that calls no tools how to answer.
HOW = (
    "Answer with one fenced code block. Write a Python function. Start with: def solve(x):"
)

# Steps that are demonstrated, in the first of their phrasings.
TAUGHT = {"square", "reverse", "sort", "unique", "keep_even", "negate", "sum", "count"}


def main() -> None:
    pairs = demonstrations()
    texts = [text for pair in pairs.items() for text in pair]
    tiny.write_checkpoint(FOLDER / "random", seed=0, texts=texts)
    tiny.write_views(FOLDER / "dataset", {"prompt_completion": tiny.conversations(pairs)})
    recipe = REPOSITORY / "configs/trainers/mlx_sft.py"
    folders = ["--dataset", FOLDER / "dataset", "--parent", FOLDER / "random"]
    settings = ["--epochs", "60", "--batch", "4", "--learning-rate", "3e-3", "--full"]
    command = [sys.executable, recipe, *folders, "--output", FOLDER / "checkpoint"]
    subprocess.run([*command, "--seed", "1", "--threads", "2", *settings], check=True)


def demonstrations() -> dict[str, str]:
    taught = (row for row in ROWS if row[0] in TAUGHT)
    return {
        f"Given a {source}, {phrase}.\n\n{HOW}": tiny.answer(expression)
        for _, source, _, _, expression, phrase, *_ in taught
    }


if __name__ == "__main__":
    main()
