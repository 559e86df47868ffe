"""Fine-tunes a model on accepted answers with Axolotl, which needs a GPU.

    axolotl_sft.py --dataset DIR --parent DIR --output DIR --seed 1

Leaves a PEFT adapter, or with --full a whole checkpoint. Settings of Axolotl 0.19.
"""

import argparse
import json
import shutil
from typing import Any

import gpu_common


def main() -> None:
    args = gpu_common.parser(__doc__.splitlines()[0]).parse_args()
    if args.print:
        gpu_common.show(command(args), settings(args))
        return
    # Every JSON document is a YAML document too.
    file = gpu_common.work_folder(args) / "axolotl.yaml"
    file.write_text(json.dumps(settings(args), indent=2))
    gpu_common.run(command(args))
    shutil.rmtree(args.output / "work")


def command(args: argparse.Namespace) -> list[str]:
    processes = ["--num-processes", str(args.gpus)]
    file = str(args.output / "work" / "axolotl.yaml")
    return ["axolotl", "train", file, "--launcher", "accelerate", "--", *processes]


def settings(args: argparse.Namespace) -> dict[str, Any]:
    lora = {
        "adapter": "lora",
        "lora_r": args.rank,
        "lora_alpha": 2 * args.rank,
        "lora_target_linear": True,
    }
    split = f"train[-{args.rows_max}:]" if args.rows_max else "train"
    rows = {
        "path": str(args.dataset),
        "name": "sft",
        "split": split,
        "type": "chat_template",
        "field_messages": "messages",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    return ({} if args.full else lora) | {
        "base_model": str(args.parent),
        "datasets": [rows],
        "dataset_prepared_path": str(args.output / "work" / "prepared"),
        "val_set_size": 0.0,
        "sequence_len": args.max_length,
        "excess_length_strategy": "drop",
        "output_dir": str(args.output),
        "save_strategy": "no",
        "num_epochs": args.epochs,
        "micro_batch_size": args.batch,
        "gradient_accumulation_steps": 1,
        "optimizer": "adamw_torch",
        "learning_rate": args.learning_rate,
        "lr_scheduler": "cosine",
        "warmup_steps": args.warmup,
        "logging_steps": 1,
        "bf16": "auto",
        "seed": args.seed,
    }


if __name__ == "__main__":
    main()
