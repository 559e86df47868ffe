"""Compares the loss and gradient of a batch with what MLX derives.

Usage: gradient.py BATCH.json PARAMS.safetensors GRADIENT.safetensors, where the
two files have the tensors of a `LlamaForCausalLM`, and BATCH.json is
{"layers", "heads", "rope_theta", "rms_norm_eps", "loss", "sequences"}: each
sequence has "tokens", "positions" and "targets", a list of
[row, token, weight], whose weighted negative log-probabilities are summed.
"""

import json
import sys

import mlx.core as mx


def norm(x, gain, epsilon):
    return mx.fast.rms_norm(x, gain, epsilon)


def turn(x, positions, base):
    size = x.shape[-1]
    angles = positions[:, None] / base ** (mx.arange(0, size, 2) / size)
    angles = mx.concatenate([angles, angles], -1)[:, None, :]
    low, high = mx.split(x, 2, axis=-1)
    return x * mx.cos(angles) + mx.concatenate([-high, low], -1) * mx.sin(angles)


def logits(about, weights, sequence):
    tokens, positions = mx.array(sequence["tokens"]), mx.array(sequence["positions"])
    length, heads, epsilon = len(sequence["tokens"]), about["heads"], about["rms_norm_eps"]
    mask = mx.where(mx.tri(length, dtype=mx.bool_), 0.0, -1e9)
    x = weights["model.embed_tokens.weight"][tokens]
    for layer in range(about["layers"]):
        def of(name):
            return weights[f"model.layers.{layer}.{name}.weight"]

        h = norm(x, of("input_layernorm"), epsilon)
        q, k, v = ((h @ of(f"self_attn.{n}_proj").T).reshape(length, heads, -1) for n in "qkv")
        q, k = (turn(y, positions, about["rope_theta"]) for y in (q, k))
        q, k, v = (y.transpose(1, 0, 2) for y in (q, k, v))
        scores = q @ k.transpose(0, 2, 1) / q.shape[-1] ** 0.5 + mask
        mixed = (mx.softmax(scores, axis=-1) @ v).transpose(1, 0, 2).reshape(length, -1)
        x = x + mixed @ of("self_attn.o_proj").T
        h = norm(x, of("post_attention_layernorm"), epsilon)
        gate = h @ of("mlp.gate_proj").T
        x = x + (gate * mx.sigmoid(gate) * (h @ of("mlp.up_proj").T)) @ of("mlp.down_proj").T
    return norm(x, weights["model.norm.weight"], epsilon) @ weights["lm_head.weight"].T


def loss(weights, about):
    total = 0.0
    for sequence in about["sequences"]:
        rows, tokens, shares = zip(*sequence["targets"])
        scores = logits(about, weights, sequence)
        chosen = (scores - mx.logsumexp(scores, axis=-1, keepdims=True))[
            mx.array(rows), mx.array(tokens)
        ]
        total = total - (chosen * mx.array(shares)).sum()
    return total


def main(batch, params, gradient):
    with open(batch, encoding="utf-8") as file:
        about = json.load(file)
    value, expected = mx.value_and_grad(loss)(mx.load(params), about)
    value = value.item()
    assert abs(about["loss"] - value) < 1e-4 * value, (about["loss"], value)
    gradients = mx.load(gradient)
    assert gradients.keys() == expected.keys()
    for name, own in gradients.items():
        length = mx.linalg.norm(expected[name]).item()
        apart = mx.linalg.norm(own - expected[name]).item()
        assert length > 1e-6 and apart < 1e-4 * length, (name, apart, length)


main(*sys.argv[1:])
