"""Llama checkpoints in the form of Hugging Face and in the form of llama.cpp (GGUF).

`to_gguf` writes the file that llama.cpp serves; `from_gguf` writes the folder that trainers
read. Both run without torch, and read one tensor at a time.

Only Llama models with a byte-level BPE tokenizer are converted, since every other architecture
needs rules of its own. For those, convert with llama.cpp's own script and serve the GGUF.

The form of GGUF and its keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import argparse
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from checkpoint import (
    CheckpointError,
    chat_template,
    lora_deltas,
    read_json,
    tensors,
    write_bfloat16,
    write_json,
)
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

# What is stored as 32-bit floats in GGUF whatever the rest is: vectors, which are small.
QUANTS = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}

# Names of tensors: Hugging Face's on the left, GGUF's on the right.
OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
INNER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}

# How a tokenizer cuts a text before it merges: GGUF has a name for each way.
SMOLLM, GPT2 = "smollm", "gpt-2"


def to_gguf(checkpoint: Path, out: Path, quant: str, adapter: Path | None = None) -> None:
    """Writes `checkpoint` as one GGUF file, with `adapter` (PEFT, LoRA) merged into it."""
    config = read_json(checkpoint / "config.json")
    require_plain_llama(config)
    writer = gguf.GGUFWriter(out, "llama")
    add_shape(writer, config, checkpoint.name)
    add_tokenizer(writer, config, checkpoint)
    kind, file_type = QUANTS[quant]
    writer.add_file_type(file_type)
    if quant == "q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    deltas = lora_deltas(adapter) if adapter else {}
    for name, tensor in tensors(checkpoint):
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        tensor = tensor + deltas.pop(name)() if name in deltas else tensor
        add_tensor(writer, gguf_name(name), interleave(name, tensor, config), kind)
    if deltas:
        raise CheckpointError(f"{adapter}: the checkpoint has no tensor {sorted(deltas)[0]}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def from_gguf(source: Path, out: Path) -> None:
    """Writes a GGUF file as a Hugging Face folder, with weights in bfloat16."""
    reader = gguf.GGUFReader(source)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    if fields.get("general.architecture") != "llama":
        raise CheckpointError(f"{source}: not a Llama model")
    config = config_of(fields, {tensor.name for tensor in reader.tensors})
    out.mkdir(parents=True, exist_ok=True)
    write_weights(out / "model.safetensors", reader, config)
    write_tokenizer(out, fields)
    write_json(out / "config.json", config)
    special = ("bos_token_id", "eos_token_id", "pad_token_id")
    # Without do_sample, transformers ignores a temperature that a request names.
    generation = {key: config[key] for key in special} | {"do_sample": True}
    write_json(out / "generation_config.json", generation)


# --- to GGUF -------------------------------------------------------------------------------


def require_plain_llama(config: dict[str, Any]) -> None:
    if config.get("architectures") != ["LlamaForCausalLM"]:
        raise CheckpointError(f"architectures {config.get('architectures')} are not Llama's")
    if config.get("attention_bias") or config.get("mlp_bias"):
        raise CheckpointError("Llama models with biases are not converted")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        raise CheckpointError(f"rope of type {rope['rope_type']} is not converted")


def add_shape(writer: gguf.GGUFWriter, config: dict[str, Any], name: str) -> None:
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {}
    writer.add_name(name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta", 10_000.0))
    writer.add_rope_dimension_count(head_size)
    writer.add_vocab_size(config["vocab_size"])


def add_tokenizer(writer: gguf.GGUFWriter, config: dict[str, Any], checkpoint: Path) -> None:
    tokenizer = read_json(checkpoint / "tokenizer.json")
    if tokenizer["model"]["type"] != "BPE":
        raise CheckpointError(f"{checkpoint}: the tokenizer is not byte-level BPE")
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    texts = {at: text for text, at in tokenizer["model"]["vocab"].items()}
    texts |= {at: token["content"] for at, token in added.items()}
    ids = range(config["vocab_size"])

    def kind(at: int) -> gguf.TokenType:
        if at not in texts:
            return gguf.TokenType.UNUSED
        if at not in added:
            return gguf.TokenType.NORMAL
        return gguf.TokenType.CONTROL if added[at]["special"] else gguf.TokenType.USER_DEFINED

    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer_name(tokenizer.get("pre_tokenizer")))
    writer.add_token_list([texts.get(at, f"[PAD{at}]") for at in ids])
    writer.add_token_types([kind(at) for at in ids])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_add_bos_token(False)  # the chat template writes what a conversation begins with
    writer.add_add_space_prefix(False)
    add_special_ids(writer, config, checkpoint)
    writer.add_chat_template(chat_template(checkpoint))


def add_special_ids(writer: gguf.GGUFWriter, config: dict[str, Any], checkpoint: Path) -> None:
    generation = checkpoint / "generation_config.json"
    ids = config | (read_json(generation) if generation.exists() else {})

    def first(key: str) -> int | None:
        value = ids.get(key)
        return value[0] if isinstance(value, list) else value

    bos, eos, pad = (first(f"{name}_token_id") for name in ("bos", "eos", "pad"))
    if eos is None:
        raise CheckpointError(f"{checkpoint}: no eos_token_id, so no answer would ever end")
    writer.add_eos_token_id(eos)
    writer.add_bos_token_id(eos if bos is None else bos)
    writer.add_pad_token_id(eos if pad is None else pad)


def pre_tokenizer_name(pre: dict[str, Any] | None) -> str:
    steps = (pre or {}).get("pretokenizers") or [pre or {}]
    kinds = [step.get("type") for step in steps]
    plain = steps[-1].get("use_regex", True) and not steps[-1].get("add_prefix_space")
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and plain:
        return SMOLLM
    if kinds == ["ByteLevel"] and plain:
        return GPT2
    raise CheckpointError(f"llama.cpp has no name here for a tokenizer that cuts by {kinds}")


def add_tensor(
    writer: gguf.GGUFWriter, name: str, tensor: np.ndarray, kind: gguf.GGMLQuantizationType
) -> None:
    block = gguf.GGML_QUANT_SIZES[kind][0]
    if tensor.ndim == 1:
        kind = gguf.GGMLQuantizationType.F32
    elif tensor.shape[-1] % block:
        kind = gguf.GGMLQuantizationType.F16
    writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)


def gguf_name(name: str) -> str:
    if name in OUTER:
        return OUTER[name]
    _, _, layer, rest = name.split(".", 3)
    inner = INNER.get(rest.removesuffix(".weight"))
    if inner is None:
        raise CheckpointError(f"a Llama model has no tensor {name}")
    return f"blk.{layer}.{inner}.weight"


def interleave(name: str, tensor: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Orders the rows of queries and keys as llama.cpp's rotary embedding pairs them."""
    heads = heads_of(name, config)
    if heads is None:
        return tensor
    return tensor.reshape(heads, 2, -1, tensor.shape[-1]).swapaxes(1, 2).reshape(tensor.shape)


def separate(name: str, tensor: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Undoes `interleave`."""
    heads = heads_of(name, config)
    if heads is None:
        return tensor
    return tensor.reshape(heads, -1, 2, tensor.shape[-1]).swapaxes(1, 2).reshape(tensor.shape)


def heads_of(name: str, config: dict[str, Any]) -> int | None:
    if ".q_proj." in name:
        return config["num_attention_heads"]
    if ".k_proj." in name:
        return config.get("num_key_value_heads") or config["num_attention_heads"]
    return None


# --- from GGUF -----------------------------------------------------------------------------


def config_of(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    def rounded(key: str) -> float:
        return float(f"{fields[key]:.6g}")  # 32-bit floats: 1e-05 is kept as 9.99999974e-06

    eos = fields["tokenizer.ggml.eos_token_id"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": fields["llama.rope.dimension_count"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": rounded("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": rounded("llama.rope.freq_base"),
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": "output.weight" not in names,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": eos,
        "pad_token_id": fields.get("tokenizer.ggml.padding_token_id", eos),
        "dtype": "bfloat16",
    }


def write_weights(path: Path, reader: gguf.GGUFReader, config: dict[str, Any]) -> None:
    stored = {hugging_face_name(tensor.name): tensor for tensor in reader.tensors}
    # GGUF names the dimensions of a tensor from the innermost one outwards.
    shapes = {name: tuple(map(int, tensor.shape[::-1])) for name, tensor in stored.items()}

    def values(name: str) -> np.ndarray:
        floats = gguf.quants.dequantize(stored[name].data, stored[name].tensor_type)
        return separate(name, floats, config)

    write_bfloat16(path, shapes, values)


def hugging_face_name(name: str) -> str:
    for outer, other in OUTER.items():
        if name == other:
            return outer
    _, layer, rest = name.split(".", 2)
    for inner, other in INNER.items():
        if rest == f"{other}.weight":
            return f"model.layers.{layer}.{inner}.weight"
    raise CheckpointError(f"a Llama model has no tensor {name}")


def write_tokenizer(out: Path, fields: dict[str, Any]) -> None:
    texts, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    vocabulary = {text: at for at, text in enumerate(texts)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    cuts = {GPT2: byte_level, SMOLLM: pre_tokenizers.Sequence([digits, byte_level])}
    pre = fields["tokenizer.ggml.pre"]
    if pre not in cuts:
        raise CheckpointError(f"tokenizers that cut as {pre} are not converted")
    tokenizer.pre_tokenizer = cuts[pre]
    tokenizer.decoder = decoders.ByteLevel()
    special = [text for text, kind in zip(texts, kinds) if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in special])
    tokenizer.save(str(out / "tokenizer.json"))
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    ids = {name: fields.get(f"tokenizer.ggml.{key}_token_id") for name, key in names.items()}
    settings = {f"{name}_token": texts[at] for name, at in ids.items() if at is not None}
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings["model_max_length"] = fields["llama.context_length"]
    settings["clean_up_tokenization_spaces"] = False
    write_json(out / "tokenizer_config.json", settings)
    (out / "chat_template.jinja").write_text(fields["tokenizer.chat_template"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a GGUF file, or a Hugging Face folder")
    parser.add_argument("out", type=Path, help="the folder, or the GGUF file, to write")
    parser.add_argument("--adapter", type=Path, help="a PEFT adapter to merge into the GGUF")
    parser.add_argument("--quant", choices=QUANTS, default="q8_0")
    args = parser.parse_args()
    if args.source.is_dir():
        to_gguf(args.source, args.out, args.quant, args.adapter)
    else:
        from_gguf(args.source, args.out)


if __name__ == "__main__":
    main()
