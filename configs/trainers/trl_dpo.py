"""Prefers passing to failing answers of the same task, with TRL's DPO.

    trl_dpo.py --dataset DIR --parent DIR --output DIR --seed 1

Reads the configuration `groups`: one row for each attempt, passed or failed, with

    group     the attempts at one task in one round share it (text)
    reward    what the verifier gave (number)
    messages  the whole conversation (list of {role, content, …})
    tools     the tools that were offered (list, may be absent)

A pair is two attempts of one group whose rewards differ by at least --gap. What they have in
common at the beginning is the prompt; the rest of the better one is chosen, that of the other
rejected. A group that passed or failed throughout has no pair and teaches nothing here.
"""

import copy
import itertools
import json
from typing import Any

import recipe  # first: it sets what libraries read when they are imported
import trl_common

from datasets import Dataset
from trl import DPOConfig, DPOTrainer


def main() -> None:
    parser = trl_common.parser(__doc__.splitlines()[0])
    parser.add_argument("--beta", type=float, default=0.1, help="how much the parent holds back")
    parser.add_argument("--gap", type=float, default=0.5, help="least difference of rewards")
    parser.add_argument("--pairs-max", type=int, default=2, help="of one group")
    # A preference moves a model faster than an answer does: 50 times less than SFT's rate.
    parser.set_defaults(learning_rate=1e-5, epochs=1)
    args = parser.parse_args()
    model, tokenizer = trl_common.load(args)
    rows = recipe.load_rows(args.dataset, "groups", args.rows_max)
    found = pairs(rows, args.gap, args.pairs_max)
    if not found:
        raise SystemExit(f"error: no two attempts of a group differ by {args.gap} in reward")
    lengths = [longer(tokenizer, pair) for pair in found]
    found = recipe.without_long(found, lengths, args.max_length)
    trainer = DPOTrainer(
        model=model,
        # An adapter is switched off for the reference. All weights need a copy of the parent.
        ref_model=copy.deepcopy(model) if args.full else None,
        args=DPOConfig(**trl_common.settings(args), beta=args.beta),
        train_dataset=Dataset.from_list(found),
        processing_class=tokenizer,
        peft_config=trl_common.lora(args),
    )
    trl_common.run(trainer, args)


def pairs(rows: list[recipe.Row], gap: float, pairs_max: int) -> list[recipe.Row]:
    """The pairs of all groups, in the order of the rows; those furthest apart first."""
    groups: dict[str, list[recipe.Row]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    found = []
    for group in groups.values():
        ranked = sorted(group, key=lambda row: -row["reward"])
        best = ranked[: min(pairs_max, len(ranked) // 2)]
        for better, worse in zip(best, reversed(ranked)):
            if better["reward"] - worse["reward"] >= gap:
                found.append(pair(better, worse))
    return [made for made in found if made]


def pair(better: recipe.Row, worse: recipe.Row) -> recipe.Row | None:
    """What DPO learns from, or none where one conversation is the beginning of the other."""
    chosen, rejected = better["messages"], worse["messages"]
    both = zip(chosen, rejected)
    common = sum(1 for _ in itertools.takewhile(lambda two: two[0] == two[1], both))
    if common in (len(chosen), len(rejected)):
        return None
    made = {
        "prompt": chosen[:common],
        "chosen": chosen[common:],
        "rejected": rejected[common:],
    }
    if better.get("tools"):
        made["tools"] = json.dumps(better["tools"])
    return made


def longer(tokenizer: Any, pair: recipe.Row) -> int:
    """Tokens of the longer of a pair's two conversations."""
    row = {"tools": json.loads(pair["tools"])} if "tools" in pair else {}
    both = (pair["prompt"] + pair[side] for side in ("chosen", "rejected"))
    return max(len(recipe.token_ids(tokenizer, one, row, answering=False)) for one in both)


if __name__ == "__main__":
    main()
