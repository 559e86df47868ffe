"""Makes preference pairs of the configuration `groups` and renders them.

A pair is a prompt with a passed and a failed attempt at it, which is the form that
TRL's preference trainers take: `prompt`, `chosen`, `rejected`, and `tools`.
"""

import itertools
import os
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import datasets
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

datasets.disable_progress_bars()

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments.code }}{% endfor %}"
    "{% endfor %}"
)


def pairs(rows):
    key = lambda row: row["group"]
    for _, group in itertools.groupby(sorted(rows, key=key), key=key):
        group = list(group)
        passed = [row for row in group if row["reward"] == 1.0]
        failed = [row for row in group if row["reward"] == 0.0]
        assert len(passed) + len(failed) == len(group)
        assert all(row["prompt"] == group[0]["prompt"] for row in group)
        for chosen, rejected in itertools.product(passed, failed):
            yield {
                "prompt": chosen["prompt"],
                "chosen": chosen["completion"],
                "rejected": rejected["completion"],
                "tools": chosen["tools"],
            }


def main(root):
    rows = list(datasets.load_dataset(root, "groups", split="train"))
    for row in rows:
        assert row["messages"] == row["prompt"] + row["completion"]
        assert (row["verdict"] == "pass") == (row["reward"] == 1.0) == (row["score"] == 1.0)
        for turn in row["turns"]:
            assert len(turn["loss_mask"]) == len(turn["tokens"])
            assert len(turn["logprobs"]) in (0, len(turn["tokens"]))
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    rendered = 0
    found = list(pairs(rows))
    for pair in found:
        render = lambda messages: made.apply_chat_template(
            messages, tools=pair["tools"], chat_template=TEMPLATE, tokenize=False
        )
        prompt = render(pair["prompt"])
        both = [render(pair["prompt"] + pair[side]) for side in ("chosen", "rejected")]
        rendered += all(text.startswith(prompt) and len(text) > len(prompt) for text in both)
    groups = len({row["group"] for row in rows})
    passed = sum(row["reward"] == 1.0 for row in rows)
    print(
        f"{groups} groups, {len(rows)} attempts, {passed} passed, "
        f"{len(found)} pairs, {rendered} rendered"
    )


if __name__ == "__main__":
    main(sys.argv[1])
