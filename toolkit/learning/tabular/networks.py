"""Networks for tables: category codes and numbers in, an answer for each row out, and what trains and deploys them.

It is a file of its own because a row of a table is two tensors, codes and numbers, where every other network here takes one
picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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

    def __init__(self, mean: float, std: float, span: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std) or 1.0))
        self.span = span

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.span:
            low, high = self.span
            return torch.sigmoid(x) * (high - low) + low
        return self.mean + self.std * x


class TabMNetwork(nn.Module):
    """An ensemble of networks that share most weights (TabM, Gorishniy et al. 2025), with periodic embeddings of numbers.

    Codes (rows, columns) and numbers (rows, values then flags) -> in training, each member's scores or values (rows, members,
    outputs), for each has a loss of its own; else, of the members' mean, log-probabilities (rows, classes) or, with `unit`,
    values (rows, 1).

    `values` are those of the training rows, standardised: the network reads a value beyond them as the nearest it has seen, and
    the more rows there are, the finer the differences it begins with (waves of up to rows / 3000, 0.1 to 10, a standard
    deviation). One scale for all waves suits either 500 rows or 30,000.
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        values: torch.Tensor,
        n_flags: int,
        n_out: int,
        unit: TargetScaler | None = None,
        members: int = MEMBERS,
        width: int = WIDTH,
        blocks: int = BLOCKS,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        rows, self.n_values = values.shape
        self.unit = unit
        self.embeds = nn.ModuleList(nn.Embedding(size, CODE_DIM) for size in cardinalities)
        for embed in self.embeds:
            nn.init.normal_(embed.weight, std=CODE_DIM**-0.5)
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
        return x if self.training else x.log_softmax(2).logsumexp(1) - math.log(x.shape[1])


class PlainNetwork(TabularModel):
    """fastai's `TabularModel`, its embeddings by fastai's rule: scores (rows, classes) or, with `unit`, values (rows, 1)."""

    def __init__(
        self,
        cardinalities: Sequence[int],
        n_numbers: int,
        n_out: int,
        unit: TargetScaler | None = None,
        layers: Sequence[int] = (200, 100),
    ) -> None:
        super().__init__([(size, emb_sz_rule(size)) for size in cardinalities], n_numbers, n_out, list(layers))
        self.unit = unit or nn.Identity()

    def forward(self, x_cat: torch.Tensor, x_cont: torch.Tensor) -> torch.Tensor:
        return self.unit(super().forward(x_cat, x_cont))


class ClassLoss(CrossEntropyLossFlat):
    """Cross-entropy of scores (rows, classes) or, the mean over members, (rows, members, classes)."""

    def __call__(self, inp: torch.Tensor, targ: torch.Tensor, **kwargs) -> torch.Tensor:
        return super().__call__(inp, _for_members(inp, targ), **kwargs)


class ValueLoss(BaseLoss):
    """Squared error in standard deviations of the training targets, of values (rows, 1) or (rows, members, 1)."""

    def __init__(self, std: float) -> None:
        super().__init__(nn.MSELoss, floatify=True, is_2d=False)
        self.std = float(std) or 1.0

    def __call__(self, inp: torch.Tensor, targ: torch.Tensor, **kwargs) -> torch.Tensor:
        return super().__call__(inp / self.std, _for_members(inp, targ) / self.std, **kwargs)


class ValueDropout(Callback):
    """Hides a few cells of each training batch, so that what no training row had is fitted too.

    With probability `share` a column of numbers that had no missing value is missing (its values at their fill, its flag 1), and
    a category is "other"; where its column had no missing value, "other" or missing. `fills` are standardised, one a value;
    `flag_of` says for each value which flag is its column's; `flags_missing` and `codes_missing` say which flags and category
    columns had missing values in training.
    """

    def __init__(
        self,
        fills: Sequence[float],
        flag_of: Sequence[int],
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


def settings_for(rows: int) -> dict[str, float]:
    """Epochs, batch size (`batch`) and highest learning rate (`lr`) for TabM on so many training rows.

    Found on Adult (29,304 rows) and on six small tables of 127 to 3,000 rows.
    """
    batch = 2 ** round(math.log2(min(max(rows / 12, 16), 256 if rows < 200_000 else 1024)))
    return {"epochs": min(max(round(300_000 / max(rows, 1)), 4), 30), "batch": batch, "lr": 0.01}


def deployed(network: TabMNetwork | PlainNetwork) -> nn.Module:
    """A module for export that answers as `network` does outside training, in fewer steps.

    What does not change any more is multiplied out: the time of one row goes into the number of steps, hardly into arithmetic.
    """
    kind = _DeployedTabM if isinstance(network, TabMNetwork) else _DeployedPlain
    with torch.no_grad():
        return kind(network).eval()


class _Lookup(nn.Module):
    """The embeddings of all columns, from one table where that wastes little space: shorter ones end in zeros."""

    def __init__(self, embeds: nn.ModuleList) -> None:
        super().__init__()
        dims = [embed.embedding_dim for embed in embeds]
        self.width = max(dims, default=0)
        self.together = self.width * len(dims) <= 3 * sum(dims)
        self.embeds = nn.ModuleList() if self.together else embeds
        # the place of each output of the separate embeddings among ours
        places = [j * self.width + i for j, dim in enumerate(dims) for i in range(dim)] if self.together else range(sum(dims))
        self.places = torch.tensor(list(places), dtype=torch.int64)
        self.count = self.width * len(dims) if self.together else sum(dims)
        if self.together and dims:
            padded = [nn.functional.pad(embed.weight.detach(), (0, self.width - embed.embedding_dim)) for embed in embeds]
            sizes = [0, *(len(table) for table in padded[:-1])]
            self.register_buffer("table", torch.cat(padded))
            self.register_buffer("starts", torch.tensor(sizes).cumsum(0))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        if self.together:
            return nn.functional.embedding(codes + self.starts, self.table).flatten(1)
        return torch.cat([embed(codes[:, j]) for j, embed in enumerate(self.embeds)], 1)


class _DeployedPlain(nn.Module):
    """Batch norms become part of the linear layer after them."""

    def __init__(self, network: PlainNetwork) -> None:
        super().__init__()
        self.lookup, self.n_numbers, self.unit = _Lookup(network.embeds), network.n_cont, network.unit
        scale, shift = _affine(network.bn_cont, network.n_cont)
        before = torch.cat([torch.ones(network.n_emb), scale]), torch.cat([torch.zeros(network.n_emb), shift])
        layers = []
        for block in network.layers:
            found = {type(layer): layer for layer in block}
            linear = found[nn.Linear]
            layers.append(_after(linear, *before))
            before = _affine(found.get(nn.BatchNorm1d), linear.out_features)
        weight = layers[0].weight
        first = nn.Linear(self.lookup.count + network.n_cont, len(weight))
        first.weight.zero_()
        first.weight[:, self.lookup.places] = weight[:, : network.n_emb]
        first.weight[:, self.lookup.count :] = weight[:, network.n_emb :]
        first.bias.copy_(layers[0].bias)
        self.first, self.rest = first, nn.ModuleList(layers[1:])

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        parts = [self.lookup(codes)] if self.lookup.count else []
        if self.n_numbers:
            parts.append(numbers)
        x = self.first(torch.cat(parts, 1) if len(parts) > 1 else parts[0])
        for layer in self.rest:
            x = layer(x.relu())
        return self.unit(x)


class _DeployedTabM(nn.Module):
    """Members come first, (members, rows, …), so that nothing is turned around; embeddings lie in one table."""

    def __init__(self, network: TabMNetwork) -> None:
        super().__init__()
        self.lookup, self.unit, self.n_values = _Lookup(network.embeds), network.unit, network.n_values
        self.n_flags = network.backbone.blocks[0][0].in_features - self.n_values * NUMBER_DIM - self.lookup.count
        self.register_buffer("low", network.low)
        self.register_buffer("high", network.high)
        if self.n_values:
            self.register_buffer("waves", 2 * math.pi * network.waves.periodic.weight)
            self.mix = network.waves.linear
        self.scales, self.linears = nn.ParameterList(), nn.ParameterList()
        for block in network.backbone.blocks:
            layer = block[0]
            self.scales.extend(x[:, None] for x in (layer.r, layer.s, layer.bias))
            self.linears.append(layer.weight.T)
        self.weight, self.bias = nn.Parameter(network.output.weight), nn.Parameter(network.output.bias[:, None])

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        parts = []
        if self.n_values:
            values = numbers[:, : self.n_values].clamp(self.low, self.high)
            turns = self.waves * values[:, :, None]
            parts.append(self.mix(torch.cat([turns.cos(), turns.sin()], 2)).relu().flatten(1))
        if self.n_flags:
            parts.append(numbers[:, self.n_values :])
        if self.lookup.count:
            parts.append(self.lookup(codes))
        x = (torch.cat(parts, 1) if len(parts) > 1 else parts[0])[None]
        for i, weight in enumerate(self.linears):
            r, s, bias = self.scales[3 * i : 3 * i + 3]
            x = ((x * r) @ weight * s + bias).relu()
        x = x @ self.weight + self.bias
        return x.softmax(2).mean(0).log() if self.unit is None else self.unit(x).mean(0)


def _affine(norm: nn.BatchNorm1d | None, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch norm outside training as scale * x + shift."""
    if norm is None:
        return torch.ones(features), torch.zeros(features)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def _after(linear: nn.Linear, scale: torch.Tensor, shift: torch.Tensor) -> nn.Linear:
    """The linear layer that answers for x as `linear` does for scale * x + shift."""
    answer = nn.Linear(linear.in_features, linear.out_features)
    answer.weight.copy_(linear.weight * scale)
    answer.bias.copy_(linear.weight @ shift + (0 if linear.bias is None else linear.bias))
    return answer


def _for_members(inp: torch.Tensor, targ: torch.Tensor) -> torch.Tensor:
    return targ.reshape(-1).repeat_interleave(inp.shape[1]) if inp.ndim == 3 else targ
