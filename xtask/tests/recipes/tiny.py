"""Makes a Llama checkpoint of 0.37 million random weights, and a dataset to train it on.

    tiny.py FOLDER [SEED]

leaves FOLDER/checkpoint, a Hugging Face folder with a byte-level BPE tokenizer and a chat
template, and FOLDER/dataset, of the form in which Gyre publishes one. The same seed gives the
same bytes. Needs neither torch nor a download.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

# A bound: so few texts have fewer merges.
VOCABULARY_MAX = 640
HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, HEAD_SIZE = 96, 256, 3, 4, 2, 24
CONTEXT = 512

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END, START, STOP = range(3)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# What the model can be taught: a step in words, and its expression.
STEPS = {
    "take the sum": "sum(x)",
    "take the largest number": "max(x)",
    "count the numbers": "len(x)",
    "sort the numbers": "sorted(x)",
    "reverse the list": "x[::-1]",
    "square each number": "[v * v for v in x]",
    "keep only the even numbers": "[v for v in x if v % 2 == 0]",
    "remove the first number": "x[1:]",
}


def main() -> None:
    folder = Path(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    write_checkpoint(folder / "checkpoint", seed)
    write_dataset(folder / "dataset")


def question(step: str) -> str:
    return f"Given a list, {step}."


def answer(expression: str) -> str:
    return f"```python\ndef solve(x):\n    return {expression}\n```"


def write_checkpoint(folder: Path, seed: int, texts: list[str] | None = None) -> None:
    """Random weights, and a tokenizer made from these texts, or from what can be taught."""
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer(texts or taught_texts())
    made.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    special: dict[str, Any] = {"bos_token_id": START, "eos_token_id": STOP, "pad_token_id": END}
    config = special | {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_SIZE,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": made.get_vocab_size(),
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    names = {f"{name.removesuffix('_id')}": SPECIAL[at] for name, at in special.items()}
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", special | {"do_sample": True})
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT}
    write_json(folder / "tokenizer_config.json", settings | names)
    save_file(weights(seed, made.get_vocab_size()), folder / "model.safetensors", {"format": "pt"})


def taught_texts() -> list[str]:
    return [text for step, code in STEPS.items() for text in (question(step), answer(code))]


def tokenizer(texts: list[str]) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY_MAX,
            special_tokens=SPECIAL,
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    return made


def weights(seed: int, vocabulary: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * 0.02).astype(np.float32)

    made = {"model.embed_tokens.weight": matrix(vocabulary, HIDDEN)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        made |= {
            f"{name}.self_attn.q_proj.weight": matrix(HEADS * HEAD_SIZE, HIDDEN),
            f"{name}.self_attn.k_proj.weight": matrix(KV_HEADS * HEAD_SIZE, HIDDEN),
            f"{name}.self_attn.v_proj.weight": matrix(KV_HEADS * HEAD_SIZE, HIDDEN),
            f"{name}.self_attn.o_proj.weight": matrix(HIDDEN, HEADS * HEAD_SIZE),
            f"{name}.mlp.gate_proj.weight": matrix(INNER, HIDDEN),
            f"{name}.mlp.up_proj.weight": matrix(INNER, HIDDEN),
            f"{name}.mlp.down_proj.weight": matrix(HIDDEN, INNER),
            f"{name}.input_layernorm.weight": np.ones(HIDDEN, np.float32),
            f"{name}.post_attention_layernorm.weight": np.ones(HIDDEN, np.float32),
        }
    return made | {"model.norm.weight": np.ones(HIDDEN, np.float32)}


def conversations(pairs: dict[str, str]) -> dict[str, list[Any]]:
    """Questions and their answers, as columns of the configuration `prompt_completion`."""
    return {
        "prompt": [[{"role": "user", "content": asked}] for asked in pairs],
        "completion": [[{"role": "assistant", "content": said}] for said in pairs.values()],
    }


def write_dataset(folder: Path) -> None:
    """The configurations that the recipes read, each in one file."""
    taught = conversations({question(step): answer(code) for step, code in STEPS.items()})
    asked, said = taught["prompt"], taught["completion"]
    wrong = [{"role": "assistant", "content": "I do not know."}]
    views = {
        "prompt_completion": taught,
        "groups": {
            "group": [step for step in STEPS for _ in range(2)],
            "reward": [1.0, 0.0] * len(STEPS),
            "messages": [ask + end for ask, say in zip(asked, said) for end in (say, wrong)],
        },
    }
    write_views(folder, views)


def write_views(folder: Path, views: dict[str, dict[str, list[Any]]]) -> None:
    """Configurations of a dataset folder, with a card that lists their files."""
    card = ["---", "configs:"]
    for name, columns in views.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / name / "train.parquet")
        files = f"data_files: [{{split: train, path: {name}/train.parquet}}]"
        card += [f"- config_name: {name}", f"  {files}"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    main()
