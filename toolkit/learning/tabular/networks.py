"""Networks for tables: category codes and numbers in, an answer for each row out, and what trains them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.losses import BaseLoss, CrossEntropyLossFlat
from fastai.tabular.model import TabularModel, emb_sz_rule
from rtdl_num_embeddings import PeriodicEmbeddings
from tabm import EnsembleView, LinearEnsemble, make_tabm_backbone
from torch import nn

MEMBERS, WIDTH, BLOCKS, DROPOUT = 16, 128, 2, 0.1
NUMBER_DIM, CODE_DIM, FREQUENCIES = 16, 8, 48
OTHER, MISSING = 1, 0  # codes that every category column has


class TargetScaler(nn.Module):
    """Raw outputs as values in the target's own unit: mean + std * output or, in a range, its sigmoid."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: float, std: float, *, span: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std) or 1.0))
        self.span = span

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.span:
            low, high = self.span
            return torch.sigmoid(x) * (high - low) + low
        return self.mean + self.std * x


class Temperature(nn.Module):
    """Scores divided by one number, 1 until `calibrate` has chosen another: the larger, the less sure (Guo et al. 2017)."""

    value: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.ones(()))
        self.register_load_state_dict_pre_hook(_uncalibrated)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores / self.value


def _uncalibrated(module: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: object) -> None:
    """Weights that were saved before there were temperatures are those of 1."""
    state.setdefault(f"{prefix}value", torch.ones(()))


class TabMNetwork(nn.Module):
    """An ensemble of networks that share most weights (TabM, Gorishniy et al. 2025), with periodic embeddings of numbers.

    Codes (rows, columns) and numbers (rows, values then flags) -> in training, each member's scores or values (rows, members,
    outputs), for each has a loss of its own; else, of the members' mean, log-probabilities (rows, classes), over a temperature,
    or, with `scaler`, values (rows, 1).

    `values` are those of the training rows, standardised: the network reads a value beyond them as the nearest it has seen, and
    the more rows there are, the finer the differences it begins with (waves of up to rows / 3000, 0.1 to 10, a standard
    deviation). One scale for all waves suits either 500 rows or 30,000.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        values: torch.Tensor,
        *,
        n_flags: int,
        n_out: int,
        scaler: TargetScaler | None = None,
        members: int = MEMBERS,
        width: int = WIDTH,
        blocks: int = BLOCKS,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        rows, self.n_values = values.shape
        self.unit = scaler  # as the weights of runs call it
        self.temperature = Temperature() if scaler is None else None
        embeds = [nn.Embedding(size, CODE_DIM) for size in cardinalities]
        for embed in embeds:
            nn.init.normal_(embed.weight, std=CODE_DIM**-0.5)
        self.embeds = nn.ModuleList(embeds)
        self.register_buffer("low", values.amin(0) if rows else values.new_zeros(self.n_values))
        self.register_buffer("high", values.amax(0) if rows else values.new_zeros(self.n_values))
        if self.n_values:
            self.waves = PeriodicEmbeddings(self.n_values, NUMBER_DIM, n_frequencies=FREQUENCIES, lite=True)
            finest = min(max(rows / 3000, 0.1), 10.0)
            weight = self.waves.periodic.weight
            with torch.no_grad():
                weight.normal_().mul_(torch.logspace(math.log10(finest / 30), math.log10(finest), FREQUENCIES))
        chunks = [NUMBER_DIM] * self.n_values + [1] * n_flags + [CODE_DIM] * len(self.embeds)
        self.view = EnsembleView(k=members)
        self.backbone = make_tabm_backbone(
            d_in=sum(chunks), n_blocks=blocks, d_block=width, dropout=dropout, k=members,
            start_scaling_init="normal", start_scaling_init_chunks=chunks,
        )  # fmt: skip
        self.output = LinearEnsemble(width, n_out, k=members)

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        parts = [embed(codes[:, j]) for j, embed in enumerate(self.embeds)]
        parts.insert(0, numbers[:, self.n_values :])
        if self.n_values:
            values = numbers[:, : self.n_values].clamp(self.low, self.high)
            parts.insert(0, self.waves(values).flatten(1))
        x = self.output(self.backbone(self.view(torch.cat(parts, 1))))
        if self.unit is not None:
            x = self.unit(x)
            return x if self.training else x.mean(1)
        if self.training or self.temperature is None:
            return x
        return self.temperature(x.log_softmax(2).logsumexp(1) - math.log(x.shape[1]))


class PlainNetwork(TabularModel):
    """fastai's `TabularModel`, its embeddings by fastai's rule: scores (rows, classes), over a temperature outside training, or,
    with `scaler`, values (rows, 1)."""

    def __init__(
        self,
        cardinalities: Sequence[int],
        n_numbers: int,
        *,
        n_out: int,
        scaler: TargetScaler | None = None,
        layers: Sequence[int] = (200, 100),
    ) -> None:
        super().__init__([(size, emb_sz_rule(size)) for size in cardinalities], n_numbers, n_out, list(layers))
        self.unit = scaler or nn.Identity()  # as the weights of runs call it
        self.temperature = Temperature() if scaler is None else None

    def forward(self, x_cat: torch.Tensor, x_cont: torch.Tensor) -> torch.Tensor:
        x = self.unit(super().forward(x_cat, x_cont))
        return x if self.training or self.temperature is None else self.temperature(x)


class ClassLoss(CrossEntropyLossFlat):
    """Cross-entropy of scores (rows, classes) or, the mean over members, (rows, members, classes)."""

    def __call__(self, inp: torch.Tensor, targ: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return super().__call__(inp, _for_members(inp, targ), **kwargs)


class ValueLoss(BaseLoss):
    """Squared error in standard deviations of the training targets, of values (rows, 1) or (rows, members, 1)."""

    def __init__(self, std: float) -> None:
        super().__init__(nn.MSELoss, floatify=True, is_2d=False)
        self.std = float(std) or 1.0

    def __call__(self, inp: torch.Tensor, targ: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return super().__call__(inp / self.std, _for_members(inp, targ) / self.std, **kwargs)


class ValueDropout(Callback):
    """Value dropout: hides a few cells of each training batch, so that what no training row had is fitted too.

    With probability `share` a column of numbers that had no missing value is missing (its values at their fill, its flag 1), and
    a category is "other"; where its column had no missing value, "other" or missing. `fills` are standardised, one a value;
    `flag_of` says for each value which flag is its column's; `flags_missing` and `codes_missing` say which flags and category
    columns had missing values in training.
    """

    def __init__(
        self,
        fills: Sequence[float],
        flag_of: Sequence[int],
        *,
        flags_missing: Sequence[bool],
        codes_missing: Sequence[bool],
        share: float = 0.02,
    ) -> None:
        self.share = share
        self.fills = torch.as_tensor(fills, dtype=torch.float32)
        self.flag_of = torch.as_tensor(flag_of, dtype=torch.int64)
        self.flags_whole = ~torch.as_tensor(flags_missing, dtype=torch.bool)
        self.codes_whole = ~torch.as_tensor(codes_missing, dtype=torch.bool)

    def before_batch(self) -> None:
        if self.training:
            codes, numbers = self.xb
            self.learn.xb = (self._codes(codes), self._numbers(numbers))

    def _codes(self, codes: torch.Tensor) -> torch.Tensor:
        chance = torch.rand(codes.shape, device=codes.device)
        missing = (chance < self.share / 2) & self.codes_whole.to(codes.device)
        return torch.where(chance < self.share, OTHER, codes).masked_fill(missing, MISSING)

    def _numbers(self, numbers: torch.Tensor) -> torch.Tensor:
        whole, at, fills = (x.to(numbers.device) for x in (self.flags_whole, self.flag_of, self.fills))
        hidden = (torch.rand(len(numbers), len(whole), device=numbers.device) < self.share) & whole
        values, flags = numbers[:, : len(at)], numbers[:, len(at) :]
        return torch.cat([torch.where(hidden[:, at], fills, values), flags.masked_fill(hidden, 1.0)], 1)


@dataclass(frozen=True)
class Schedule:
    """Passes over the training rows, rows a training step, and the highest learning rate."""

    epochs: int
    batch: int
    lr: float = 0.01


def schedule_for(rows: int) -> Schedule:
    """That of TabM on so many training rows: found on Adult (29,304 rows) and on six small tables of 127 to 3,000 rows."""
    batch = 2 ** round(math.log2(min(max(rows / 12, 16), 256 if rows < 200_000 else 1024)))
    return Schedule(min(max(round(300_000 / max(rows, 1)), 4), 30), batch)


def _for_members(inp: torch.Tensor, targ: torch.Tensor) -> torch.Tensor:
    return targ.reshape(-1).repeat_interleave(inp.shape[1]) if inp.ndim == 3 else targ
