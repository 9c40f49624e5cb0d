"""The study's language model: a small decoder with exits."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork, check_positive, exit_units
from anytime_core.networks.decoder import decoder_with_exits


class Block(nn.Module):
    """x -> y + MLP(norm(y)), y = x + attention(norm(x)): normalised first, GELU, an inner width of 4 · width.

    Args:
        width: Of the states.
        heads: Of the attention, a divisor of the width.
        place: In the row of blocks, from 0; a cache knows the block by it.
    """

    def __init__(self, width: int, heads: int, place: int) -> None:
        super().__init__()
        self.heads, self.place = heads, place
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, cache: Any = None) -> Tensor:
        """[N, T, width] -> [N, T, width]; each token attends to those before it, in the cache too, and to itself."""
        x = x + self.joined(self._attended(self.norm1(x), cache))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))

    def _attended(self, x: Tensor, cache: Any) -> Tensor:
        in_heads = self.queries_keys_values(x).unflatten(-1, (3, self.heads, -1))  # [N, T, 3, heads, size]
        queries, keys, values = in_heads.permute(2, 0, 3, 1, 4)  # [N, heads, T, size] each
        if cache is not None:
            keys, values = cache.update(keys, values, self.place)
        new, all_tokens = queries.shape[2], keys.shape[2]
        mask, causal = None, False
        if new == all_tokens:
            causal = True
        elif new > 1:  # some new tokens after others: each sees those before it
            mask = torch.ones(new, all_tokens, dtype=torch.bool, device=x.device).tril(all_tokens - new)
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal)
        return attended.transpose(1, 2).flatten(2)


class SmallDecoder(nn.Module):
    """A decoder in the form of GPT-2: learned positions, blocks in a row, a last norm and an output matrix.

    Args:
        classes: Different tokens.
        context: Most tokens of a text.
        width, blocks, heads: Of the states, in a row, of each attention.
        tied: Whether the output matrix is the embedding.

    Source: Radford et al. 2019 (GPT-2), with its initialisation: normal with deviation 0.02, that of the matrices that
    end a residual divided by √(2 · blocks).
    """

    def __init__(self, classes: int, context: int, width: int, blocks: int, heads: int, *, tied: bool = False) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(classes, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads, place) for place in range(blocks))
        self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, classes, bias=False)
        self.apply(initialise)
        for name, parameter in self.named_parameters():
            if name.endswith(("joined.weight", "narrow.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * blocks))
        if tied:
            self.output.weight = self.token.weight

    def forward(self, ids: Tensor, cache: Any = None) -> Tensor:
        """Logits [N, T, classes] of the token after each of the ids [N, T], which follow on those in the cache."""
        start = 0 if cache is None else cache.get_seq_length()
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        x = self.token(ids) + self.position(positions)
        for block in self.blocks:
            x = block(x, cache)
        return self.output(self.norm(x))


def initialise(module: nn.Module) -> None:
    """Weights normal with deviation 0.02, biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def gpt(
    width: int = 96,
    blocks: int = 8,
    heads: int = 3,
    s: int = 1,
    *,
    shared_head: bool = False,
    num_classes: int = 65,
    context: int = 128,
) -> AnytimeNetwork:
    """A small GPT with an exit after every s-th block, counted back from the last one.

    Args:
        width: Of the states, a multiple of ``heads``.
        blocks: In a row; each has about 12 · width² parameters.
        heads: Of each attention.
        s: Blocks per segment.
        shared_head: All exits read through the last norm and output matrix, which then is the embedding too. Otherwise
            each exit has a norm and a matrix of its own.
        num_classes: Different tokens.
        context: Most tokens of a text.

    Shapes: token ids [N, T] -> logits [K, N, T, num_classes], K = 1 + (blocks - 1) // s.

    Raises:
        ValueError: a number out of its range.
    """
    check_positive(width=width, blocks=blocks, heads=heads, num_classes=num_classes, context=context)
    if width % heads:
        raise ValueError(f"width: expected a multiple of the {heads} heads, found {width}")
    model = SmallDecoder(num_classes, context, width, blocks, heads, tied=shared_head)
    return decoder_with_exits(model, exit_units(blocks, s), make_head=None if shared_head else own_head)


def own_head(width: int, classes: int) -> nn.Module:
    """The head of one exit: a norm and an output matrix."""
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes, bias=False)).apply(initialise)
