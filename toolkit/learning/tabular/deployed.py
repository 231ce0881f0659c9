"""The networks as they are exported: the same answers in fewer steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from toolkit.learning.fold_batchnorm import scale_and_shift
from toolkit.learning.tabular.networks import NUMBER_DIM, PlainNetwork, TabMNetwork


def deployed(network: TabMNetwork | PlainNetwork) -> nn.Module:
    """A module for export that answers as `network` does outside training, in fewer steps.

    What does not change any more is multiplied out: the time of one row goes into the number of steps, hardly into arithmetic.
    """
    with torch.no_grad():
        made = _DeployedTabM(network) if isinstance(network, TabMNetwork) else _DeployedPlain(network)
        return made.eval()


class _Lookup(nn.Module):
    """The embeddings of all columns, from one table where that wastes little space: shorter ones end in zeros."""

    table: torch.Tensor
    starts: torch.Tensor

    def __init__(self, embeddings: nn.ModuleList) -> None:
        super().__init__()
        embeds = [embed for embed in embeddings if isinstance(embed, nn.Embedding)]
        dims = [embed.embedding_dim for embed in embeds]
        self.width = max(dims, default=0)
        self.together = self.width * len(dims) <= 3 * sum(dims)
        self.embeds = nn.ModuleList([] if self.together else embeds)
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
        self.lookup, self.n_numbers = _Lookup(network.embeds), network.n_cont
        self.last = network.temperature or network.unit
        scale, shift = _affine(network.bn_cont, network.n_cont)
        before = torch.cat([torch.ones(network.n_emb), scale]), torch.cat([torch.zeros(network.n_emb), shift])
        layers = []
        for block in network.layers:
            found = {type(layer): layer for layer in block}
            linear = found[nn.Linear]
            layers.append(_after(linear, before[0], shift=before[1]))
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
        return self.last(x)


class _DeployedTabM(nn.Module):
    """Members come first, (members, rows, …), so that nothing is turned around; embeddings lie in one table."""

    low: torch.Tensor
    high: torch.Tensor
    waves: torch.Tensor

    def __init__(self, network: TabMNetwork) -> None:
        super().__init__()
        self.lookup, self.n_values = _Lookup(network.embeds), network.n_values
        self.scaler, self.temperature = network.unit, network.temperature
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
        if self.scaler is not None:
            return self.scaler(x).mean(0)
        scores = x.softmax(2).mean(0).log()
        return scores if self.temperature is None else self.temperature(scores)


def _affine(norm: nn.BatchNorm1d | None, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch norm outside training as scale * x + shift; without one, what changes nothing."""
    return (torch.ones(features), torch.zeros(features)) if norm is None else scale_and_shift(norm)


def _after(linear: nn.Linear, scale: torch.Tensor, *, shift: torch.Tensor) -> nn.Linear:
    """The linear layer that answers for x as `linear` does for scale * x + shift."""
    answer = nn.Linear(linear.in_features, linear.out_features)
    answer.weight.copy_(linear.weight * scale)
    answer.bias.copy_(linear.weight @ shift + (0 if linear.bias is None else linear.bias))
    return answer
