"""What the recipes for TRL share: loading, settings, progress and saving."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import recipe  # first: it sets what libraries read when they are imported

import peft
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)


def parser(description: str) -> argparse.ArgumentParser:
    made = recipe.parser(description)
    made.add_argument(
        "--dtype",
        choices=["float32", "bfloat16"],
        help="of the weights in training; by default bfloat16 on a GPU and float32 without "
        "one, where it is three times as fast unless the processor multiplies bfloat16",
    )
    return made


def load(args: argparse.Namespace) -> tuple[PreTrainedModel, Any]:
    """The parent's model and tokenizer. A parent that is an adapter is merged first."""
    torch.set_num_threads(args.threads)
    dtype = args.dtype or ("bfloat16" if torch.cuda.is_available() else "float32")
    is_adapter = (args.parent / "adapter_config.json").exists()
    base = args.parent
    if is_adapter:
        base = peft.PeftConfig.from_pretrained(args.parent).base_model_name_or_path
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    if is_adapter:
        model = peft.PeftModel.from_pretrained(model, args.parent).merge_and_unload()
    return model, AutoTokenizer.from_pretrained(base)


def lora(args: argparse.Namespace) -> peft.LoraConfig | None:
    if args.full:
        return None
    return peft.LoraConfig(
        r=args.rank,
        lora_alpha=2 * args.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings that the configurations of all of TRL's trainers take."""
    return {
        "output_dir": str(args.output / "epochs"),
        "save_strategy": "epoch",
        "save_only_model": True,
        "save_total_limit": 1,
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": args.batch,
        "learning_rate": args.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": args.warmup,
        "max_length": args.max_length,
        "seed": args.seed,
        "full_determinism": True,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,  # the weights have the wanted type already
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "disable_tqdm": True,
        "report_to": "none",
    }


class Progress(TrainerCallback):
    """Prints a line of progress for each step."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            tokens = int(logs.get("num_tokens", 0))
            recipe.report(state.global_step, state.max_steps, float(logs["loss"]), tokens)


def run(trainer: Trainer, args: argparse.Namespace) -> None:
    trainer.remove_callback(PrinterCallback)  # would print the same in a form of its own
    trainer.add_callback(Progress())
    trainer.train()
    save(trainer, args)


def save(trainer: Trainer, args: argparse.Namespace) -> None:
    """Leaves a whole checkpoint, in half the bytes of training's, or the adapter alone."""
    model: Any = trainer.model
    if args.adapter_only and not args.full:
        model.save_pretrained(args.output)
    else:
        merged = model if args.full else model.merge_and_unload()
        merged.to(torch.bfloat16).save_pretrained(args.output)
        # Saved by transformers, the same tokenizer would have other bytes than the parent's.
        recipe.copy(Path(model.config.name_or_path), args.output, recipe.TOKENIZER_FILES)
    # The last save stands for those of earlier epochs.
    shutil.rmtree(args.output / "epochs", ignore_errors=True)
