"""The files of a Hugging Face checkpoint, read and written without torch.

The form of safetensors: https://github.com/huggingface/safetensors#format
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


class CheckpointError(Exception):
    """A checkpoint that cannot be used, and why."""


def tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of a folder's safetensors files as 32-bit floats, one at a time."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder}: no safetensors file")
    for path in files:
        header, data = opened(path)
        for name in sorted(header):
            begin, end = header[name]["data_offsets"]
            values = floats(data[begin:end], header[name]["dtype"], f"{path}: {name}")
            yield name, values.reshape(header[name]["shape"])


def opened(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """A safetensors file's header without its metadata, and its data, not yet read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if 8 + length >= size:
            raise CheckpointError(f"{path}: cut off within its header")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, mode="r", offset=8 + length)
    if any(tensor["data_offsets"][1] > len(data) for tensor in header.values()):
        raise CheckpointError(f"{path}: cut off: its header names more than its {size} bytes")
    return header, data


def floats(data: np.ndarray, dtype: str, name: str) -> np.ndarray:
    if dtype == "BF16":  # the upper half of a 32-bit float
        return (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if dtype == "F16":
        return data.view(np.float16).astype(np.float32)
    if dtype == "F32":
        return data.view(np.float32)
    raise CheckpointError(f"{name}: weights of type {dtype} cannot be read")


def write_bfloat16(
    path: Path, shapes: dict[str, tuple[int, ...]], values: Callable[[str], np.ndarray]
) -> None:
    """Writes one safetensors file; `values` gives the 32-bit floats of one tensor at a time."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in shapes:
            file.write(bfloat16(values(name)).tobytes())


def bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of 32-bit floats, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def lora_deltas(adapter: Path) -> dict[str, Callable[[], np.ndarray]]:
    """What a PEFT adapter (LoRA) adds to each weight, computed when called."""
    config = read_json(adapter / "adapter_config.json")
    if config.get("use_dora") or config.get("rank_pattern") or config.get("alpha_pattern"):
        raise CheckpointError(f"{adapter}: only plain LoRA of one rank can be merged")
    scale = config["lora_alpha"] / config["r"] ** (0.5 if config.get("use_rslora") else 1)
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors(adapter):
        weight, _, half = name.removesuffix(".weight").rpartition(".")
        if half not in ("lora_A", "lora_B"):
            raise CheckpointError(f"{adapter}: {name} is no part of a LoRA adapter")
        pairs.setdefault(weight.removeprefix("base_model.model.") + ".weight", {})[half] = tensor

    def delta(pair: dict[str, np.ndarray]) -> Callable[[], np.ndarray]:
        return lambda: scale * (pair["lora_B"] @ pair["lora_A"])

    return {name: delta(pair) for name, pair in pairs.items()}


def chat_template(checkpoint: Path) -> str:
    path = checkpoint / "chat_template.jinja"
    if path.exists():
        return path.read_text()
    template = read_json(checkpoint / "tokenizer_config.json").get("chat_template")
    if not isinstance(template, str):
        raise CheckpointError(f"{checkpoint}: no chat template, so no conversation can be served")
    return template


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
