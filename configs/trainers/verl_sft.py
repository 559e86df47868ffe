"""Fine-tunes all weights of a model on accepted answers with verl, which needs a GPU.

    verl_sft.py --dataset DIR --parent DIR --output DIR --seed 1 --learning-rate 1e-5

Leaves a whole checkpoint, whether or not --full is given. A row that is longer than --max-length
ends the run with an error. Settings of verl 0.9.
"""

import argparse
from pathlib import Path

import gpu_common
import recipe


def main() -> None:
    args = gpu_common.parser(__doc__.splitlines()[0]).parse_args()
    if args.print:
        gpu_common.show(command(args), overrides(args))
        return
    write_rows(args, gpu_common.work_folder(args) / "rows.parquet")
    gpu_common.run(command(args))
    gpu_common.keep_newest(args.output / "work", "global_step_*/huggingface", args)


def command(args: argparse.Namespace) -> list[str]:
    processes = f"--nproc-per-node={args.gpus}"
    module = "verl.trainer.sft_trainer"
    return ["torchrun", "--standalone", processes, "--module", module, *overrides(args)]


def overrides(args: argparse.Namespace) -> list[str]:
    work = args.output / "work"
    return [
        f"data.train_files={work / 'rows.parquet'}",
        "data.messages_key=messages",
        f"data.train_batch_size={args.batch}",
        "data.micro_batch_size_per_gpu=1",
        f"data.max_length={args.max_length}",
        f"model.path={args.parent}",
        f"optim.lr={args.learning_rate}",
        f"optim.lr_warmup_steps={args.warmup}",
        "optim.lr_scheduler_type=cosine",
        "optim.weight_decay=0",
        "checkpoint.save_contents=[hf_model]",
        "trainer.logger=[console]",
        "trainer.project_name=gyre",
        f"trainer.default_local_dir={work}",
        f"trainer.total_epochs={args.epochs}",
        f"trainer.seed={args.seed}",
        f"trainer.n_gpus_per_node={args.gpus}",
        "trainer.max_ckpt_to_keep=1",
        "trainer.resume_mode=disable",
    ]


def write_rows(args: argparse.Namespace, file: Path) -> None:
    """The rows in one file: verl takes files, and the dataset has one for each round."""
    import datasets

    rows = recipe.load_rows(args.dataset, "sft", args.rows_max)
    datasets.Dataset.from_list([{"messages": row["messages"]} for row in rows]).to_parquet(file)


if __name__ == "__main__":
    main()
