"""What is read of a model in a folder of this machine, and what is written about it?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import torch

from attncc.errors import ExtraMissing, ModelUnusable
from attncc.models.assign.observe import Reader
from attncc.models.assign.texts import Tokenizer
from attncc.models.plan import ModelSizes


def load(folder: Path, device: str) -> tuple[Reader, ModelSizes, Tokenizer | None, int]:
    """(model, its sizes, its tokenizer or None, how many tokens it knows), in the element type it is stored in.
    Nothing is fetched. Raises ModelUnusable, ExtraMissing."""
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ModuleNotFoundError as missing:
        raise ExtraMissing("finding a plan", "hf") from missing
    if not (folder / "config.json").is_file():
        raise ModelUnusable(folder, "it is not a folder with a config.json; save one with model.save_pretrained")
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto").to(device).eval()
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnusable(folder, str(error).strip().partition("\n")[0]) from error
    try:
        tokenizer = cast(Tokenizer, AutoTokenizer.from_pretrained(folder, local_files_only=True))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        tokenizer = None
    config = model.config.get_text_config()
    q_heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or q_heads
    sizes = ModelSizes(config.num_hidden_layers, q_heads, kv_heads)
    return cast(Reader, model), sizes, tokenizer, int(config.vocab_size)


def device_name(place: str) -> str:
    """The name of PyTorch for `auto`, `cpu` or `cuda`."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if place == "auto" else place


def plan_name(folder: str) -> str:
    """The name of a plan for the model in a folder of this name."""
    plain = re.sub("[^a-z0-9]+", "_", folder.lower(), flags=re.ASCII).strip("_")
    return (plain if plain[:1].isalpha() else f"model_{plain}")[:64].rstrip("_")


def write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
