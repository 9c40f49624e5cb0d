"""Exits on a network that exists already: a torchvision model, perhaps with trained weights, or one's own."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn

from anytime_core.errors import did_you_mean
from anytime_core.networks.base import AnytimeNetwork, check_positive, he_initialise, modes_kept
from anytime_core.networks.heads import global_average
from anytime_core.networks.inputs import example_batch
from anytime_core.networks.tracing import trace


def with_exits(
    backbone: nn.Module,
    at: Sequence[str],
    *,
    num_classes: int | None = None,
    inputs: Sequence[int] | Any = (3, 224, 224),
    output: str | int | None = None,
    make_head: Callable[[torch.Size, int], nn.Module] | None = None,
) -> AnytimeNetwork:
    """Give a network exits after some of its modules; its own classifier stays as the last exit.

    ``with_exits(resnet50(weights="DEFAULT"), at=["layer1", "layer2", "layer3"])`` has four exits,
    ``with_exits(vit_b_16(), at=["encoder.layers.encoder_layer_3"])`` has two. Layers and parameters are those of
    ``backbone``, not copies: trained weights stay, and the last exit gives what ``backbone`` gives.

    Args:
        backbone: Module that gives logits [N, classes], whose operations :mod:`torch.fx` can write down as one row:
            what runs depends on the shapes of its inputs, not on their values.
        at: Names of modules, as in ``backbone.named_modules()``, with an exit after (the last call of) each. The exits
            are numbered in the order in which the backbone runs, and each needs all that runs until then.
        num_classes: Classes, by default as many as the backbone has. For another number its last layer, which then must
            be an ``nn.Linear``, is replaced by a new one in the result, to be trained on other data.
        inputs: Shape of one input of numbers, without N, such as (C, H, W); or a batch of what the backbone takes: a
            tensor, a tuple of arguments or a dict of them, with which the result is called too. New heads learn their
            sizes from it.
        output: Where the logits are in what the backbone gives: a key, a field or a position. By default what is called
            ``logits``, or the only tensor.
        make_head: From the shape of the features at an exit, [N, ...], and the number of classes to the head that reads
            them; :class:`ExitHead` by default.

    Raises:
        ValueError: A name that the backbone does not have, or a place named twice; features that no head reads; no
            logits; a backbone that cannot be cut into segments, with the reason and what to do instead.
    """
    check_positive(num_classes=1 if num_classes is None else num_classes)
    training = backbone.training
    with modes_kept(backbone):
        given = example_batch(inputs, backbone, samples=2)
        given = given[0] if isinstance(given, tuple) and len(given) == 1 else given  # as the result will take it
        graph, ends = trace(backbone, given)
        last = _find_logits(graph, output)
        _leave_out_what_nobody_reads(graph, last)
        nodes = [node for node in graph.nodes if node.op != "output"]
        cuts = _find_cuts(at, {name: node for name, node in ends.items() if node in nodes}, nodes, last)
        shape = last.meta["value"].shape
        own_head: nn.Module = nn.Identity()
        if last is nodes[-1] and last.op == "call_module":
            layer = backbone.get_submodule(str(last.target))
            if isinstance(layer, nn.Linear):  # costs and parameters of a last layer are those of a head
                own_head = layer
                nodes.pop()
                last = last.all_input_nodes[0]
        segments = _split(backbone, nodes, [*cuts.values(), last], given)

        like = next(backbone.parameters(), torch.empty(0))
        classes = shape[-1] if num_classes is None else num_classes
        if classes != shape[-1]:
            if not isinstance(own_head, nn.Linear):
                raise ValueError(
                    f"num_classes: expected {shape[-1]}, as its last layer is no nn.Linear, found {classes}"
                )
            own_head = nn.Linear(own_head.in_features, classes).apply(he_initialise).to(like)
        heads = []
        square = not isinstance(given, Tensor) or len({*given.shape[2:]}) < 2
        for name, node in cuts.items():
            try:
                head = (make_head or partial(ExitHead, square=square))(node.meta["value"].shape, classes)
            except ValueError as error:
                raise ValueError(f"at: {name}: {error}") from None
            heads.append(_OnFeatures(head).to(like))
        net = AnytimeNetwork([*segments], [*heads, own_head], backbone=type(backbone).__name__, at=tuple(cuts))
        return net.train(training)


class ExitHead(nn.Module):
    """A new exit: one linear layer, for the shape of the features that the exit reads.

    Maps [N, C, H, W] are averaged globally, without a ReLU before it: the blocks of stock networks end with their own.
    So are maps [N, H, H, C], as Swin's, which are told by their two equal sizes where the images are ``square``, and
    normalised by their layer (layer norm, as blocks of transformers leave their sum as it is). Of tokens [N, T, D] the
    first one, which is ViT's class token, is taken and normalised. Features [N, D] are taken as they are.

    ``shape`` is that of the features, of any N. Raises ValueError for features of another number of dimensions.
    """

    def __init__(self, shape: Sequence[int], num_classes: int, *, square: bool = True) -> None:
        super().__init__()
        if len(shape) not in (2, 3, 4):
            raise ValueError(f"expected features of 2 to 4 dimensions, found shape {tuple(shape)}")
        self.channels_first = len(shape) == 4 and not (square and shape[1] == shape[2] != shape[3])
        channels = shape[1] if self.channels_first else shape[-1]
        norm = len(shape) == 3 or (len(shape) == 4 and not self.channels_first)
        self.norm = nn.LayerNorm(channels, eps=1e-6) if norm else nn.Identity()  # ViT's eps
        self.linear = nn.Linear(channels, num_classes)
        self.apply(he_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of this exit."""
        if x.ndim == 4:
            x = global_average(x) if self.channels_first else self.norm(x).mean((1, 2))
        else:
            x = self.norm(x[:, 0] if x.ndim == 3 else x)
        return self.linear(x)


class _OnFeatures(nn.Module):
    """A head on the first item of the state."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, state: tuple[Tensor, ...]) -> Tensor:
        return self.head(state[0])


def _find_logits(graph: fx.Graph, output: str | int | None) -> fx.Node:
    """The operation that gives the logits."""
    found: Any = next(node for node in graph.nodes if node.op == "output").args[0]
    if isinstance(found, fx.Node) and isinstance(found.meta.get("value"), Tensor) and output is None:
        return found
    parts: dict[Any, Any] = {}
    if isinstance(found, fx.Node) and isinstance(found.target, type):  # a dataclass
        parts = dict(found.kwargs)
    elif isinstance(found, Mapping):
        parts = dict(found)
    elif isinstance(found, tuple | list):
        parts = dict(enumerate(found))
    parts = {key: node for key, node in parts.items() if isinstance(node, fx.Node)}
    if output is None:
        output = "logits" if "logits" in parts else next(iter(parts), None) if len(parts) == 1 else None
    if output not in parts:
        known = ", ".join(map(repr, parts)) or "a tensor"
        raise ValueError(f"output: expected where the logits are among what it gives ({known}), found {output!r}")
    return parts[output]


def _leave_out_what_nobody_reads(graph: fx.Graph, last: fx.Node) -> None:
    """Erase operations after which nothing of the logits is computed, but for checks of the inputs."""
    end = next(node for node in graph.nodes if node.op == "output")
    end.args = (last,)
    for node in reversed(graph.nodes):
        kept = node.op in ("output", "placeholder") or node.target is torch._assert
        if not node.users and not kept:
            graph.erase_node(node)


def _find_cuts(
    at: Sequence[str], ends: Mapping[str, fx.Node], nodes: list[fx.Node], last: fx.Node
) -> dict[str, fx.Node]:
    """The names, in the order in which the backbone runs them, and the operations that their exits read."""
    if isinstance(at, str):
        raise ValueError(f"at: expected a list of names, found the text {at!r}")
    known = [name for name, node in ends.items() if node is not last]
    places: dict[fx.Node, str] = {}
    for name in at:
        if name not in ends:
            raise ValueError(f"at: expected one of {', '.join(known)}, found {name!r}{did_you_mean(name, known)}")
        if ends[name] is last:
            raise ValueError(f"at: expected names before the end of the backbone, an exit already, found {name!r}")
        if ends[name] in places:
            raise ValueError(f"at: expected different places, found {places[ends[name]]!r} and {name!r}")
        places[ends[name]] = name
    return {name: ends[name] for name in sorted(places.values(), key=lambda name: nodes.index(ends[name]))}


def _split(backbone: nn.Module, nodes: list[fx.Node], places: Sequence[fx.Node], inputs: Any) -> list[fx.GraphModule]:
    """One module per place: it runs the operations from the place before to this one, in the backbone's order.

    The state between two segments holds tensors alone. Sizes that are read again later are computed again, so that a
    batch may shrink on the way.
    """
    position = {node: number for number, node in enumerate(nodes)}
    keys = list(inputs) if isinstance(inputs, Mapping) else range(len(inputs))
    placeholders = [node for node in nodes if node.op == "placeholder"]
    root = copy.copy(backbone)  # of which the segments take their modules
    root._modules = {**backbone._modules, **{str(n.target): n.meta["choice"] for n in nodes if "choice" in n.meta}}
    bounds = [0, *(position[place] + 1 for place in places[:-1]), len(nodes)]
    segments, state = [], []
    for number, ((start, stop), place) in enumerate(zip(pairwise(bounds), places, strict=True), start=1):
        graph = fx.Graph()
        given = graph.placeholder("state")
        new = {node: graph.call_function(operator.getitem, (given, item)) for item, node in enumerate(state)}
        if number == 1:
            for key, node in zip(keys, placeholders, strict=False):
                single = isinstance(inputs, Tensor)
                new[node] = given if single else graph.call_function(operator.getitem, (given, key))

        def copied(node: fx.Node, graph: fx.Graph = graph, new: dict[fx.Node, fx.Node] = new) -> fx.Node:
            if node not in new:
                for before in node.all_input_nodes:
                    copied(before)
                new[node] = graph.node_copy(node, new.__getitem__)
            return new[node]

        for node in nodes[start:stop]:
            copied(node)
        # what later operations read, and the output (which has no position) in the end
        read = [n for n in nodes[:stop] if any(position.get(user, len(nodes)) >= stop for user in n.users)]
        needed = {tensor: None for node in read for tensor in _tensors_behind(node)}
        state = [place, *(node for node in needed if node is not place)]
        graph.output(copied(place) if number == len(places) else tuple(copied(node) for node in state))
        segments.append(fx.GraphModule(root, graph, f"{type(backbone).__name__}Segment"))
    return segments


def _tensors_behind(node: fx.Node) -> list[fx.Node]:
    """The node itself if it gives a tensor (but a weight is always at hand), else the tensors that it is made of."""
    if node.op == "get_attr":
        return []
    if isinstance(node.meta["value"], Tensor):
        return [node]
    return [tensor for before in node.all_input_nodes for tensor in _tensors_behind(before)]
