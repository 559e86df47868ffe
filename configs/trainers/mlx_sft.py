"""Fine-tunes a model on accepted answers with MLX: no torch, on Linux and on Apple silicon.

    mlx_sft.py --dataset DIR --parent DIR --output DIR --seed 1

Loss is on the answer alone. The same seed gives the same weights on the same machine.
The result is a Hugging Face folder, or with --adapter-only a PEFT adapter.
"""

import argparse
import json
import math
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import recipe  # first: it sets what libraries read when they are imported

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import mlx_lm
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.tuner.lora import LoRALinear
from mlx_lm.tuner.utils import linear_to_lora_layers

# Shapes are rounded up to this many tokens, so that few of them are compiled.
PAD_TOKENS = 32

# Rows of similar length share a batch: sorted within windows of so many batches, not over all
# rows, so that batches differ from epoch to epoch.
WINDOW_BATCHES = 16

Encoded = tuple[list[int], int]
Weights = dict[str, mx.array]


def main() -> None:
    parser = recipe.parser(__doc__.splitlines()[0])
    parser.add_argument("--view", default="prompt_completion", help="or sft_tools")
    args = parser.parse_args()
    mx.random.seed(args.seed)
    if not mx.metal.is_available():
        mx.disable_compile()  # gives the same bytes, sooner, and needs no C++ compiler here
    if (args.parent / "adapter_config.json").exists():
        raise SystemExit(
            f"error: {args.parent} is an adapter; this recipe starts from a checkpoint"
        )
    model, tokenizer = mlx_lm.load(str(args.parent))
    rows = [
        recipe.encode(tokenizer, row)
        for row in recipe.load_rows(args.dataset, args.view, args.rows_max)
    ]
    rows = recipe.without_long(rows, [len(ids) for ids, _ in rows], args.max_length)
    prepare(model, args)
    train(model, rows, args)
    save(model, args.output, args)


def prepare(model: nn.Module, args: argparse.Namespace) -> None:
    """Chooses what is trained: all weights, or an adapter on every linear layer."""
    model.set_dtype(mx.float32)  # half precision is slower on a processor
    if args.full:
        return
    model.freeze()
    kinds = (nn.Linear, nn.QuantizedLinear)
    linear = {
        name
        for layer in model.layers
        for name, module in layer.named_modules()
        if isinstance(module, kinds)
    }
    shape = {"rank": args.rank, "scale": 2.0, "dropout": 0.0, "keys": linear}
    linear_to_lora_layers(model, len(model.layers), shape)


def train(model: nn.Module, rows: list[Encoded], args: argparse.Namespace) -> None:
    steps = args.epochs * math.ceil(len(rows) / args.batch)
    warmup = min(args.warmup, steps - 1)
    rate = optim.cosine_decay(args.learning_rate, steps - warmup)
    if warmup:
        rising = optim.linear_schedule(0.0, args.learning_rate, warmup)
        rate = optim.join_schedules([rising, rate], [warmup])
    # With bias correction, as torch has it; MLX leaves it out by default, and learns slower.
    optimizer = optim.AdamW(rate, weight_decay=0.0, bias_correction=True)
    gradient = nn.value_and_grad(model, answer_loss)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def update(ids: mx.array, mask: mx.array) -> mx.array:
        loss, gradients = gradient(model, ids, mask)
        gradients, _ = optim.clip_grad_norm(gradients, 1.0)
        optimizer.update(model, gradients)
        return loss

    model.train()
    step = tokens = 0
    for epoch in range(args.epochs):
        for ids, mask, length in batches(rows, args.batch, args.seed, epoch):
            loss = update(ids, mask)
            mx.eval(state)
            step, tokens = step + 1, tokens + length
            recipe.report(step, steps, loss.item(), tokens)
        if epoch + 1 < args.epochs:
            save(model, args.output / "epochs" / str(epoch + 1), args)


def answer_loss(model: nn.Module, ids: mx.array, mask: mx.array) -> mx.array:
    """Mean cross-entropy over the tokens of the answers of a batch."""
    losses = nn.losses.cross_entropy(model(ids[:, :-1]), ids[:, 1:])
    return (losses * mask).sum() / mask.sum()


def batches(
    rows: list[Encoded], size: int, seed: int, epoch: int
) -> Iterator[tuple[mx.array, mx.array, int]]:
    """Every row once: token ids, which of the next tokens carry loss, and how many tokens."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(rows))
    window = size * WINDOW_BATCHES
    parts = []
    for at in range(0, len(order), window):
        near = sorted(order[at : at + window], key=lambda row: len(rows[row][0]))
        parts += [near[begin : begin + size] for begin in range(0, len(near), size)]
    for part in random.permutation(len(parts)):
        yield padded([rows[row] for row in parts[part]])


def padded(rows: list[Encoded]) -> tuple[mx.array, mx.array, int]:
    longest = max(len(ids) for ids, _ in rows)
    length = 1 + PAD_TOKENS * math.ceil((longest - 1) / PAD_TOKENS)
    ids = np.zeros((len(rows), length), np.int32)
    mask = np.zeros((len(rows), length - 1), np.float32)
    for at, (row, prompt) in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, prompt - 1 : len(row) - 1] = 1
    return mx.array(ids), mx.array(mask), sum(len(row) for row, _ in rows)


def save(model: nn.Module, output: Path, args: argparse.Namespace) -> None:
    output.mkdir(parents=True, exist_ok=True)
    if args.adapter_only and not args.full:
        save_adapter(adapters(model), output, args)
    else:
        save_checkpoint(changed_weights(model), output, args.parent)
    # The last save stands for those of earlier epochs.
    shutil.rmtree(output / "epochs", ignore_errors=True)


def adapters(model: nn.Module) -> dict[str, LoRALinear]:
    return {name: part for name, part in model.named_modules() if isinstance(part, LoRALinear)}


def changed_weights(model: nn.Module) -> Weights:
    """The weights that training changed, by their names in the checkpoint."""
    found = adapters(model)
    if not found:
        return dict(tree_flatten(model.parameters()))
    return {f"{name}.weight": part.fuse().weight for name, part in found.items()}


def save_checkpoint(changed: Weights, output: Path, parent: Path) -> None:
    """The parent's files with the changed weights, in the parent's precision and names."""
    recipe.copy(parent, output, recipe.CONFIG_FILES | recipe.TOKENIZER_FILES)
    for path in sorted(parent.glob("*.safetensors")):
        weights: Any = mx.load(str(path))  # a dictionary, since the file is safetensors
        for name in weights.keys() & changed.keys():
            weights[name] = changed.pop(name).astype(weights[name].dtype)
        mx.save_safetensors(str(output / path.name), weights, {"format": "pt"})
    if changed:
        raise SystemExit(f"error: {parent} has no weight {sorted(changed)[0]} to change")


def save_adapter(found: dict[str, LoRALinear], output: Path, args: argparse.Namespace) -> None:
    """An adapter in the form of PEFT, whose matrices are the transposes of MLX's."""
    weights: Weights = {}
    for name, part in found.items():
        weights[f"base_model.model.{name}.lora_A.weight"] = mx.contiguous(part.lora_a.T)
        weights[f"base_model.model.{name}.lora_B.weight"] = mx.contiguous(part.lora_b.T)
    mx.save_safetensors(str(output / "adapter_model.safetensors"), weights, {"format": "pt"})
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(args.parent),
        "r": args.rank,
        "lora_alpha": 2 * args.rank,
        "target_modules": sorted({name.rpartition(".")[2] for name in found}),
    }
    (output / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
