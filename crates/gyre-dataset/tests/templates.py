"""Renders every row of every view under every chat template that TRL ships.

Prints one line for each view and template: `ok`, or what is wrong. With `ok` the
answer's code is in the rendered text of every row, and the tokens that carry
loss, chosen as TRL chooses them, decode to a text that holds it, without the
wrong program that came before.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import datasets
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

datasets.disable_progress_bars()


def tokenizer():
    """One token a byte: what is decoded is what was encoded."""
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate(special + alphabet)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    names = dict(zip(["bos_token", "eos_token", "pad_token", "unk_token"], special))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def forms(code):
    """A program as templates quote it: as it is, as JSON, as Python does."""
    code = code.strip()
    quoted = [json.dumps(code, ensure_ascii=ascii)[1:-1] for ascii in (False, True)]
    single = code.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return [code, *quoted, repr(code)[1:-1], single]


def holds(text, code):
    return any(form in text for form in forms(code))


def loss_text(made, row, template):
    """The text of the tokens that carry loss; `None` where all do."""
    tools = row.get("tools")
    render = lambda messages, **more: made.apply_chat_template(
        messages, tools=tools, chat_template=template, tokenize=True, return_dict=True, **more
    )
    if "prompt" in row:
        before = render(row["prompt"], add_generation_prompt=True)["input_ids"]
        whole = render(row["prompt"] + row["completion"])["input_ids"]
        common = next(
            (at for at, (a, b) in enumerate(zip(before, whole)) if a != b),
            min(len(before), len(whole)),
        )
        return made.decode(whole[common:])
    if "{% generation" not in template and "{%- generation" not in template:
        return None
    rendered = render(row["messages"], return_assistant_tokens_mask=True)
    marked = zip(rendered["input_ids"], rendered["assistant_masks"])
    return made.decode([token for token, mask in marked if mask])


def wrong(made, row, template, code, wrong_program):
    conversation = row["messages"] if "messages" in row else row["prompt"] + row["completion"]
    text = made.apply_chat_template(
        conversation, tools=row.get("tools"), chat_template=template, tokenize=False
    )
    if not holds(text, code):
        return "the answer is not in the text"
    trained = loss_text(made, row, template)
    if trained is not None and not holds(trained, code):
        return "the answer carries no loss"
    if trained is not None and holds(trained, wrong_program):
        return "the wrong program carries loss"
    return None


def main(root, wrong_program):
    made = tokenizer()
    records = datasets.load_dataset(root, "records", split="train")
    answers = dict(zip(records["rollout_id"], records["completion"]))
    assert any(holds(json.dumps(row["messages"]), wrong_program) for row in records)
    package = Path(importlib.util.find_spec("trl").submodule_search_locations[0])
    templates = sorted(package.glob("chat_templates/*.jinja"))
    for view in ["sft", "sft_tools", "prompt_completion"]:
        rows = list(datasets.load_dataset(root, view, split="train"))
        assert len(rows) == len(answers)
        for file in templates:
            template, problem = file.read_text(), None
            for row in rows:
                try:
                    code = answers[row["rollout_id"]]
                    problem = wrong(made, row, template, code, wrong_program)
                except Exception as error:
                    problem = f"{type(error).__name__}: {error}".splitlines()[0]
                if problem:
                    break
            print(view, file.stem, problem or "ok", sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
