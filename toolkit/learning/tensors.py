"""Files of tensors, read without running code, and copies of weights."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.errors import WeightsError
from toolkit.needs import require


def load_tensors(path: Path) -> dict[str, Any]:
    """Read a .pth or .safetensors file: tensors and plain values only, never code.

    Raises `WeightsError` for a file that is damaged or holds anything else.
    """
    if path.suffix == ".safetensors":
        require("safetensors", why="to read a .safetensors file")
        from safetensors.torch import load_file as load
    else:
        load = partial(torch.load, map_location="cpu", weights_only=True)
    try:
        return load(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path}: holds more than tensors, or is damaged: save a state dict with torch.save") from error
    except Exception as error:  # each reader has error classes of its own, and a damaged file can raise any
        raise WeightsError(f"{path}: cannot be read as a weight file ({error})") from error


def double_array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as an array, float64, on the CPU."""
    array: np.ndarray = tensor.detach().cpu().double().numpy()
    return array


def copy_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the model's weights, on the CPU."""
    return {key: value.detach().to("cpu", copy=True) for key, value in model.state_dict().items()}
