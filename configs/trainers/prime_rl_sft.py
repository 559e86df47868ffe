"""Fine-tunes a model on accepted answers with prime-rl, which needs a GPU.

    prime_rl_sft.py --checkout DIR --dataset DIR --parent DIR --output DIR --seed 1

prime-rl is no package: --checkout names a clone of its repository, in which `uv sync` was run.
Leaves a whole checkpoint; an adapter is merged by prime-rl itself.
The names of settings are those of its commit 0111b1ba.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import gpu_common
import recipe


def main() -> None:
    parser = gpu_common.parser(__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, required=True)
    args = parser.parse_args()
    rows = len(recipe.load_rows(args.dataset, "prompt_completion", None))
    chosen = settings(args, rows)
    if args.print:
        gpu_common.show(command(args), chosen)
        return
    (gpu_common.work_folder(args) / "sft.toml").write_text(toml(chosen))
    gpu_common.run(command(args))
    gpu_common.keep_newest(args.output / "work", "weights/step_*", args)


def command(args: argparse.Namespace) -> list[str]:
    file = str(args.output / "work" / "sft.toml")
    return ["uv", "run", "--project", str(args.checkout), "sft", "@", file]


def settings(args: argparse.Namespace, rows: int) -> dict[str, dict[str, Any]]:
    """Settings by table. Steps are counted here, since prime-rl knows no epochs."""
    lora = {} if args.full else {"model.lora": {"rank": args.rank, "alpha": 2 * args.rank}}
    steps = args.epochs * math.ceil(rows / args.batch)
    return {
        "": {"max_steps": steps, "output_dir": str(args.output / "work")},
        "model": {"name": str(args.parent)},
        **lora,
        "data": {
            "name": str(args.dataset),
            "subsets": ["prompt_completion"],
            "splits": ["train"],
            "seq_len": args.max_length,
            "batch_size": args.batch,
            "seed": args.seed,
        },
        "optim": {"lr": args.learning_rate, "weight_decay": 0.0},
        "scheduler": {"type": "cosine", "warmup_steps": args.warmup},
        "ckpt": {"weights_only": True},
        "deployment": {"type": "single_node", "num_gpus": args.gpus},
    }


def toml(tables: dict[str, dict[str, Any]]) -> str:
    """TOML writes these texts, numbers, lists and booleans as JSON does."""
    lines = []
    for name, table in tables.items():
        lines += [f"\n[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
