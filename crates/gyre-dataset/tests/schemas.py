"""Prints the rows of every configuration but the views that the card names twice.

`datasets` casts the files of one configuration to one schema, and fails where they
differ.
"""

import sys

import datasets

datasets.disable_progress_bars()
names = set(datasets.get_dataset_config_names(sys.argv[1])) - {"sft_tools", "prompt_completion"}
for name in sorted(names):
    print(name, len(datasets.load_dataset(sys.argv[1], name, split="train")))
