"""Training steps in bfloat16 on a CPU that multiplies it in hardware: about half the time, the same score.

fastai's `to_bf16` asks for CUDA and does nothing on a CPU.
"""

from __future__ import annotations

from functools import partial

import torch
from fastai.callback.core import Callback


class BFloat16OnCPU(Callback):
    """Run the forward pass of training steps under CPU autocast to bfloat16, with channels-last memory.

    Validation, test and export stay float32: autocast is on only inside the forward call of a module in training mode,
    so an exception, or a stop at any moment, leaves nothing switched on. Elsewhere than on a CPU with bfloat16
    instructions it does nothing.
    """

    order = 10

    def before_fit(self) -> None:
        device = next(self.model.parameters()).device
        self.active = device.type == "cpu" and cpu_has_bfloat16()
        if self.active:
            self.model.to(memory_format=torch.channels_last)
            self.model.forward = partial(_forward, self.model)

    def before_batch(self) -> None:
        if self.active and self.training:
            self.learn.xb = tuple(_channels_last(x) for x in self.xb)

    def after_fit(self) -> None:
        if self.active:
            self.model.__dict__.pop("forward", None)
            self.model.to(memory_format=torch.contiguous_format)


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _forward(model: torch.nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=model.training):
        answer = type(model).forward(model, *inputs)
    return answer.float()


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
