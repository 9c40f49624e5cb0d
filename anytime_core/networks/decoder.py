"""Exits on a decoder: a language model that reads tokens and answers, at each of them, with the next one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.inputs import on_meta


def decoder_with_exits(
    model: nn.Module,
    at: Sequence[int] | None = None,
    *,
    blocks: str | None = None,
    make_head: Callable[[int, int], nn.Module] | None = None,
) -> AnytimeNetwork:
    """Give a decoder exits after some of its blocks; what follows its last block is the last exit.

    ``decoder_with_exits(LlamaForCausalLM.from_pretrained(…), at=[4, 8])`` has exits after blocks 4 and 8 and at the
    end. The model is any module that calls the blocks of one ``nn.ModuleList`` one after the other: a causal language
    model of Hugging Face, or one's own. Layers and parameters are its own, not copies, tied ones stay tied, and exit k
    gives, bit for bit, what the model gives without the blocks after it.

    Nothing is traced. Each part runs the model itself, passes over the blocks before its own, and ends the call after
    the last of these. So masks, positions and scales are the model's; its embedding runs once per part.

    Generation that leaves early (:class:`~anytime_core.inference.generation.Decoding`) needs a model with the argument
    ``cache`` or ``past_key_values``. As Hugging Face's models do, it asks for ``get_seq_length()``, the position of the
    first new token, and every attention calls ``update(keys, values, place)`` with the place of its block.

    Args:
        model: Token ids [N, T] -> logits [N, T, classes], as a tensor, as ``.logits`` or as ``["logits"]``. Sequences
            are padded at their end, where a causal model needs no mask, and the padding is left out of the loss
            (``ignore_index`` of :func:`~anytime_core.losses.cross_entropy_per_exit`).
        at: Numbers of blocks, from 1, with an exit after each; all blocks if left out.
        blocks: Name of the ``nn.ModuleList``, as in ``model.named_modules()``, where the model has several.
        make_head: From the width of the states and the number of classes to the own head of an exit before the last
            one, states [N, T, width] -> logits. By default all exits share the model's own: its last norm and its
            output matrix.

    Raises:
        ValueError: no row of blocks, or several; numbers of no exit.
    """
    path = _find_blocks(model) if blocks is None else blocks
    whole = _Model(model, path)
    count = len(whole.blocks)
    ends = list(range(1, count)) if at is None else [number for number in at if number != count]
    if sorted(set(ends)) != ends or not all(1 <= number < count for number in ends):
        raise ValueError(f"at: expected growing numbers of blocks, 1 to {count}, found {at}")
    before, after, width, classes = whole.look()
    cuts = [0, *ends, count]
    segments = [_Segment(whole, *cut, before if cut[0] == 0 else []) for cut in pairwise(cuts)]
    last = _OwnHead(whole, after)
    like = next(model.parameters())
    heads = [last if make_head is None else make_head(width, classes).to(like) for _ in ends]
    net = AnytimeNetwork(segments, [*heads, last], model=type(model).__name__, at=tuple(cuts[1:]))
    known = set(net.modules())
    for part in (part for part in model.modules() if part not in known and (part._parameters or part._buffers)):
        held = nn.Module()  # in the same dicts, so that what one of the two moves or loads the other has
        held._parameters, held._buffers = part._parameters, part._buffers
        held._non_persistent_buffers_set = part._non_persistent_buffers_set
        segments[0].before.append(held)
    return net.train(model.training)


class KeyValues:
    """Keys and values of the tokens so far, of the blocks of one segment; it answers as Hugging Face's caches do."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}
        self._coming: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Those of all tokens, [N, heads, T, size], from those of the new ones."""
        if layer_idx in self._kept:
            old_keys, old_values = self._kept[layer_idx]
            keys, values = torch.cat([old_keys, keys], 2), torch.cat([old_values, values], 2)
        self._coming[layer_idx] = keys, values
        return keys, values

    def commit(self) -> None:
        """Keep what came since: all blocks are through. Without it nothing is kept."""
        self._kept = dict(self._coming)

    def get_seq_length(self, *_: Any) -> int:
        """Tokens that are kept."""
        return next((keys.shape[2] for keys, _ in self._kept.values()), 0)

    get_query_offset = get_seq_length  # the position of the first new token

    def get_mask_sizes(self, query_length: int, *_: Any) -> tuple[int, int]:
        """How many keys the new tokens see, and the position of the first."""
        return self.get_seq_length() + query_length, 0


class _Model:
    """A model that can be called with other things in the place of its blocks. The model itself is not changed."""

    def __init__(self, model: nn.Module, path: str) -> None:
        self.model, self.path = model, path.split(".")
        self.blocks = list(model.get_submodule(path).children())
        accepted = inspect.signature(model.forward).parameters
        self.cache_name = next((name for name in ("cache", "past_key_values") if name in accepted), None)
        self.takes_use_cache = "use_cache" in accepted
        self.in_tuples = False  # whether a block gives (state, …)

    def __call__(self, row: Sequence[Any], ids: Tensor, cache: KeyValues | None, *, training: bool) -> Any:
        top = module = _shallow(self.model, training)
        for name in self.path[:-1]:
            inner = _shallow(module.get_submodule(name), training)
            module._modules[name] = inner
            module = inner
        del module._modules[self.path[-1]]
        module.__dict__[self.path[-1]] = row
        options: dict[str, Any] = {"use_cache": cache is not None} if self.takes_use_cache else {}
        if self.cache_name:  # one that is thrown away says at least where the tokens are
            options[self.cache_name] = KeyValues() if cache is None else cache
        return top(ids, **options)

    def look(self) -> tuple[list[nn.Module], list[nn.Module], int, int]:
        """Run it once without data: the layers before and after the blocks, the width of the states, the classes."""
        whole = _Model(on_meta(self.model), ".".join(self.path))
        inside = {layer for block in whole.blocks for layer in block.modules()}
        ran: dict[bool, dict[str, nn.Module]] = {False: {}, True: {}}  # by whether the last block is through
        seen: list[Any] = []
        whole.blocks[-1].register_forward_hook(lambda *result: seen.append(result[-1]))
        for name, layer in whole.model.named_modules():
            if layer not in inside and not any(layer.children()):
                own = self.model.get_submodule(name)
                layer.register_forward_hook(lambda *_, name=name, own=own: ran[bool(seen)].update({name: own}))
        with torch.no_grad():
            ids = torch.zeros(1, 2, dtype=torch.long, device="meta")
            logits = logits_of(whole(whole.blocks, ids, None, training=False))
        self.in_tuples = isinstance(seen[0], tuple)
        state = seen[0][0] if self.in_tuples else seen[0]
        return [*ran[False].values()], [*ran[True].values()], state.shape[-1], logits.shape[-1]


class _InPlace:
    """What is called in the place of a block: the block itself, on a given state or as the last, or nothing at all."""

    def __init__(self, block: nn.Module, of: _Model, *, state: Tensor | None, runs: bool, ends: bool) -> None:
        self._block, self._of, self._state, self._runs, self._ends = block, of, state, runs, ends

    def __call__(self, state: Tensor, *args: Any, **kwargs: Any) -> Any:
        state = state if self._state is None else self._state
        if not self._runs:
            return (state,) if self._of.in_tuples else state
        result = self._block(state, *args, **kwargs)
        if self._ends:
            raise _Reached(result[0] if self._of.in_tuples else result)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)  # such as the kind of its attention


class _Reached(Exception):
    """No error: it ends the model's call, with the state after a segment."""


class _Segment(nn.Module):
    """Blocks ``start`` to ``stop`` of the row, counted from 0: token ids or states -> states [N, T, width]."""

    def __init__(self, whole: _Model, start: int, stop: int, before: list[nn.Module]) -> None:
        super().__init__()
        self.before = nn.ModuleList(before)
        self.blocks = nn.ModuleList(whole.blocks[start:stop])
        self.start, self.stop = start, stop
        self.remembers = whole.cache_name is not None  # whether it takes what it has computed of earlier tokens
        self._whole = whole

    def forward(self, x: Tensor, past: KeyValues | None = None) -> Tensor:
        """The states of the tokens after these blocks; ``past`` is of the tokens before them."""
        # a later segment gives the model token ids that are overwritten: only their number counts
        ids = x if self.start == 0 else x.new_zeros(x.shape[:2], dtype=torch.long)
        row = [
            _InPlace(
                block,
                self._whole,
                state=x if number == self.start > 0 else None,
                runs=self.start <= number < self.stop,
                ends=number == self.stop - 1,
            )
            for number, block in enumerate(self._whole.blocks)
        ]
        try:
            self._whole(row, ids, past, training=self.training)
        except _Reached as reached:
            return reached.args[0]
        raise ValueError(f"model: expected it to call block {self.stop} of its row, found that it did not")


class _OwnHead(nn.Module):
    """What the model does after its blocks: states [N, T, width] -> logits [N, T, classes]."""

    def __init__(self, whole: _Model, after: list[nn.Module]) -> None:
        super().__init__()
        self.after = nn.ModuleList(after)
        self._whole = whole

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every token's successor."""
        row = [_InPlace(block, self._whole, state=x, runs=False, ends=False) for block in self._whole.blocks]
        ids = x.new_zeros(x.shape[:2], dtype=torch.long)
        return logits_of(self._whole(row, ids, None, training=self.training))


def logits_of(output: Any) -> Tensor:
    """The logits in what a model gives."""
    if isinstance(output, Tensor):
        return output
    return output["logits"] if isinstance(output, dict) else output.logits


def _shallow(module: nn.Module, training: bool) -> nn.Module:
    """The same module, parameters and all, in which children can be replaced."""
    other = object.__new__(type(module))
    other.__dict__.update(module.__dict__, _modules=dict(module._modules), training=training)
    return other


def _find_blocks(model: nn.Module) -> str:
    """The name of the one row of blocks that lies in no other."""
    rows = [name for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part) > 0]
    outer = [name for name in rows if not any(name.startswith(f"{other}.") for other in rows)]
    if len(outer) != 1:
        raise ValueError(f"blocks: expected the name of one nn.ModuleList of blocks, found {outer or 'none'}")
    return outer[0]
