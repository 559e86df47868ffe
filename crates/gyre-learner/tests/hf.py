"""Reads a checkpoint with Hugging Face's own libraries and checks what Gyre sampled from it.

Usage: hf.py CHECKPOINT SAMPLES.json, where SAMPLES.json is a list of
{"prompt", "prompt_tokens", "tokens", "logprobs", "text"}.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer


def norm(x, gain, epsilon):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gain


def rotate(x, base):
    length, _, size = x.shape
    angles = np.arange(length)[:, None] / base ** (np.arange(0, size, 2) / size)
    angles = np.concatenate([angles, angles], -1)[:, None, :]
    half = np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], -1)
    return x * np.cos(angles) + half * np.sin(angles)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def log_probabilities(config, weights, tokens):
    """`LlamaForCausalLM`, in double precision."""
    heads, epsilon = config["num_attention_heads"], config["rms_norm_eps"]
    length = len(tokens)
    mask = np.triu(np.full((length, length), -np.inf), 1)
    x = weights["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        def of(name):
            return weights["model.layers.%d.%s.weight" % (layer, name)]

        h = norm(x, of("input_layernorm"), epsilon)
        q, k, v = (
            (h @ of("self_attn.%s_proj" % name).T).reshape(length, heads, -1) for name in "qkv"
        )
        q, k = rotate(q, config["rope_theta"]), rotate(k, config["rope_theta"])
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(config["head_dim"]) + mask
        mixed = np.einsum("hij,jhd->ihd", softmax(scores), v).reshape(length, -1)
        x = x + mixed @ of("self_attn.o_proj").T
        h = norm(x, of("post_attention_layernorm"), epsilon)
        gate = h @ of("mlp.gate_proj").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ of("mlp.up_proj").T)) @ of("mlp.down_proj").T
    logits = norm(x, weights["model.norm.weight"], epsilon) @ weights["lm_head.weight"].T
    return np.log(softmax(logits))


def main(folder, samples):
    config = json.loads((folder / "config.json").read_text())
    weights = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items()}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for sample in json.loads(samples.read_text()):
        prompt = "<|begin|><|user|>" + sample["prompt"] + "<|assistant|>"
        given = tokenizer.encode(prompt, add_special_tokens=False).ids
        assert given == sample["prompt_tokens"], (prompt, given, sample["prompt_tokens"])
        text = tokenizer.decode(sample["tokens"], skip_special_tokens=True)
        assert text == sample["text"], (text, sample["text"])
        rows = log_probabilities(config, weights, given + sample["tokens"])[len(given) - 1 :]
        for row, token, logprob in zip(rows, sample["tokens"], sample["logprobs"]):
            assert abs(row[token] - logprob) < 1e-3, (token, row[token], logprob)


main(Path(sys.argv[1]), Path(sys.argv[2]))
