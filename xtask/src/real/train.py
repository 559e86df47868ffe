"""Has TRL train two steps on each view of a published dataset, on a CPU.

The model is tiny and random, and its tokenizer has one token a byte. Before a
view counts, the tokens that carry loss must decode to the answer of each row.
"""

import importlib.util
import json
import math
import sys
import tempfile
from pathlib import Path

import datasets
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

ROWS = 16
VIEWS = ["sft", "sft_tools", "prompt_completion"]


def tokenizer():
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate(special + alphabet)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    names = dict(zip(["bos_token", "eos_token", "pad_token", "unk_token"], special))
    made = PreTrainedTokenizerFast(tokenizer_object=made, **names)
    package = Path(importlib.util.find_spec("trl").submodule_search_locations[0])
    made.chat_template = (package / "chat_templates/qwen3_training.jinja").read_text()
    return made


def model(vocabulary):
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=8192,
        )
    )


def main(root):
    made = tokenizer()
    records = datasets.load_dataset(root, "records", split="train")
    answers = dict(zip(records["rollout_id"], records["completion"]))
    for view in VIEWS:
        rows = datasets.load_dataset(root, view, split="train")
        rows = rows.select(range(min(ROWS, len(rows))))
        with tempfile.TemporaryDirectory() as folder:
            config = SFTConfig(
                output_dir=folder,
                max_steps=2,
                per_device_train_batch_size=2,
                max_length=None,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
                logging_steps=1,
                assistant_only_loss=view == "sft",
            )
            trainer = SFTTrainer(
                model=model(len(made)), args=config, train_dataset=rows, processing_class=made
            )
            for row, prepared in zip(rows, trainer.train_dataset):
                labels = [label for label in prepared["labels"] if label != -100]
                trained = made.decode(labels)
                code = answers[row["rollout_id"]].strip()
                forms = [code, *(json.dumps(code, ensure_ascii=a)[1:-1] for a in (True, False))]
                assert any(form in trained for form in forms), (view, trained)
                assert len(labels) < len(prepared["input_ids"]), "the task carries no loss"
            loss = trainer.train().training_loss
            assert math.isfinite(loss) and trainer.state.global_step == 2
        print(f"{view}: {len(rows)} rows, two steps, loss {loss:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
