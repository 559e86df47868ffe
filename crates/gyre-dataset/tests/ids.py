"""Prints what `datasets` loads of a folder: for each configuration the number of
rows and a SHA-256 over their ids, in order."""

import hashlib
import sys

import datasets

datasets.disable_progress_bars()
for name in ["records", "sft", "sft_tools", "prompt_completion", "groups"]:
    ids = datasets.load_dataset(sys.argv[1], name, split="train")["rollout_id"]
    print(name, len(ids), hashlib.sha256("".join(i + "\n" for i in ids).encode()).hexdigest())
