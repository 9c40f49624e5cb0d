"""Text, token by token: each token under one limit, with the keys and values of all blocks kept right.

for token, prediction in generate(net, ids, 100, confidence=0.9):     # ids [N, T], token [N]
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from anytime_core.costs import part_macs
from anytime_core.errors import InputError
from anytime_core.inference.predictor import AnytimePredictor, Prediction
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.decoder import KeyValues
from anytime_core.networks.inputs import shapes_of


class Decoding(AnytimeNetwork):
    """A decoder that reads on: it takes the tokens that are new, and answers with the one after them.

    It is an anytime network, so ``AnytimePredictor(Decoding(net))`` has every limit for the next token: a deadline,
    MACs, an exit, a confidence. A call is the prompt, or one more token. A batch leaves together; its sequences have
    one length.

    **When a token leaves early**, the deeper blocks have not seen it, but later tokens that go deeper attend to it. So
    each segment hands its states on to the next one when that runs: it then runs on all tokens that it has missed, and
    on the new one. Every answer is what its exit gives for the whole text read at once, and each token passes each
    segment once at most: nothing is computed twice, but a token that goes deeper pays for those before it that did not,
    and is late accordingly. ``macs`` of a prediction has what was really run. A latency table is measured on the
    decoder itself, which is warmed up too: with one token, so that no prompt of several can have a deadline by it.

    Args:
        net: Of :func:`~anytime_core.networks.decoder.decoder_with_exits`, used as it is, not copied. Its model takes a
            cache.

    Shapes: token ids [N, T] -> logits [K, N, classes].

    Raises:
        InputError: a network that remembers nothing.
    """

    def __init__(self, net: AnytimeNetwork) -> None:
        if not all(getattr(segment, "remembers", False) for segment in getattr(net, "segments", [None])):
            raise InputError("net: expected a decoder whose model takes cache or past_key_values, found none")
        steps: list[_Step] = []
        for segment in net.segments:
            steps.append(_Step(segment, steps[-1] if steps else None, last=segment is net.segments[-1]))
        super().__init__(steps, [_LastToken(head) for head in net.heads], **net.options)
        self._pasts = [step.past for step in steps]
        one, two = (part_macs(net, torch.zeros(1, length, dtype=torch.long)) for length in (1, 2))
        attention = [(second - 2 * first) // 2 for (first, _), (second, _) in zip(one, two, strict=True)]
        self._parts = [(first - b, b, head) for (first, head), b in zip(one, attention, strict=True)]

    def macs_now(self, inputs: Any) -> list[tuple[int, int]]:
        """MACs of each segment, on all tokens that it has missed, and of each head, on the last token alone.

        A segment costs a q + b q n for q tokens that see n: a and b were counted on texts of one and two tokens.
        """
        if not isinstance(inputs, Tensor) or inputs.ndim != 2 or 0 in inputs.shape or inputs.is_floating_point():
            raise InputError(f"inputs: expected token ids [N, T], found {shapes_of(inputs)}")
        length = self._pasts[0].get_seq_length() + inputs.shape[1]
        missed = [length - past.get_seq_length() for past in self._pasts]
        return [(a * q + b * q * length, head) for (a, b, head), q in zip(self._parts, missed, strict=True)]


class _Step(nn.Module):
    """A segment with its memory, and with the states that the next one has not taken yet."""

    def __init__(self, segment: nn.Module, before: _Step | None, *, last: bool) -> None:
        super().__init__()
        self.segment, self.last = segment, last
        self.past = KeyValues()
        self.left: Tensor | None = None
        self._before = (before,)  # not registered: it is a segment of its own

    def forward(self, x: Tensor) -> Tensor:
        (before,) = self._before
        states = self.segment(x if before is None else before.left, self.past)
        self.past.commit()
        if before is not None:
            before.left = None
        if not self.last:
            self.left = states if self.left is None else torch.cat([self.left, states], 1)
        return states[:, -1:]


class _LastToken(nn.Module):
    """The head on the last token: [N, 1, width] -> [N, classes]."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, state: Tensor) -> Tensor:
        return self.head(state)[:, 0]


def generate(
    net: AnytimeNetwork,
    ids: Tensor,
    count: int,
    *,
    choose: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(-1),
    **limit: Any,
) -> Iterator[tuple[Tensor, Prediction]]:
    """The next tokens, one by one; leave the loop at any time.

    Args:
        net: A decoder, see :class:`Decoding`; it is put into evaluation mode.
        ids: The prompts, [N, T], of one length.
        count: How many tokens.
        choose: Logits [N, classes] -> tokens [N]; the most probable ones by default.
        limit: Of each token, as for :meth:`AnytimePredictor.predict`: ``deadline``, ``macs``, ``exit`` or
            ``confidence``; the last exit by default.

    Returns:
        For each token the tokens [N] and the prediction that they were chosen from.

    Raises:
        InputError: a network that remembers nothing; ids or a limit that cannot be used.
    """
    predictor = AnytimePredictor(Decoding(net))
    limit = limit or {"exit": net.num_exits}
    for _ in range(count):
        prediction = predictor.predict(ids, **limit)
        tokens = choose(prediction.logits)
        yield tokens, prediction
        ids = tokens[:, None]
