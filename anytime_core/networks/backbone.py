"""Exits on a network that exists already: a torchvision model, perhaps with trained weights, or one's own."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn

from anytime_core.errors import did_you_mean
from anytime_core.networks.base import AnytimeNetwork
from anytime_core.networks.heads import global_average
from anytime_core.networks.initialisation import he_initialise
from anytime_core.networks.modes import modes_kept


def with_exits(
    backbone: nn.Module,
    at: Sequence[str],
    *,
    num_classes: int | None = None,
    image_shape: tuple[int, int, int] = (3, 224, 224),
) -> BackboneWithExits:
    """Give a network exits after some of its modules; its own classifier stays as the last exit.

    ``with_exits(resnet50(weights="DEFAULT"), at=["layer1", "layer2", "layer3"])`` has four exits,
    ``with_exits(vit_b_16(), at=["encoder.layers.encoder_layer_3"])`` has two. Layers and parameters are those of
    ``backbone``, not copies: trained weights stay, and the last exit gives what ``backbone`` gives.

    Args:
        backbone: Module from images to logits [N, classes] that :mod:`torch.fx` can trace, such as torchvision's ResNet
            and VisionTransformer, or an ``nn.Sequential``.
        at: Names of modules, as in ``backbone.named_modules()``, with an exit after (the last call of) each. The exits
            are numbered in the order in which the backbone runs, and each needs all that runs until then.
        num_classes: Classes, by default as many as the backbone has. For another number its last layer, which then must
            be an ``nn.Linear``, is replaced by a new one in the result, to be trained on other data.
        image_shape: Shape (C, H, W) of an image that the backbone takes; new heads learn their sizes from it.

    Raises:
        ValueError: A name that the backbone does not have, or a place named twice; features that no head reads; a
            backbone with several inputs or outputs, or with other operations in training (other than by its layers).
        torch.fx.proxy.TraceError: The backbone's course depends on its data.
    """
    if num_classes is not None and num_classes < 1:
        raise ValueError(f"num_classes: expected at least 1, found {num_classes}")
    training = backbone.training
    with modes_kept(backbone):
        graph, ends = _trace(backbone)
        *nodes, output = graph.nodes
        last = output.args[0]
        if not isinstance(last, fx.Node) or sum(node.op == "placeholder" for node in nodes) != 1:
            raise ValueError("backbone: expected one input and one output, found more")
        cuts = _find_cuts(at, ends, nodes, last)

        own_head: nn.Module = nn.Identity()
        if last is nodes[-1] and last.op == "call_module":
            layer = backbone.get_submodule(str(last.target))
            if isinstance(layer, nn.Linear):  # costs and parameters of a last layer are those of a head
                own_head = layer
                nodes.pop()
                last = last.all_input_nodes[0]
        segments = _split(backbone, nodes, [*cuts.values(), last])

        like = next(backbone.parameters(), torch.empty(0))
        *features, _, logits = _shapes([*segments, own_head], torch.empty(1, *image_shape, dtype=like.dtype))
        classes = logits[-1] if num_classes is None else num_classes
        if classes != logits[-1]:
            if not isinstance(own_head, nn.Linear):
                raise ValueError(
                    f"num_classes: expected {logits[-1]}, as its last layer is no nn.Linear, found {classes}"
                )
            own_head = nn.Linear(own_head.in_features, classes).apply(he_initialise).to(like)
        heads = [ExitHead(name, shape, classes).to(like) for name, shape in zip(cuts, features, strict=True)]
        return BackboneWithExits(segments, [*heads, own_head], type(backbone).__name__, cuts).train(training)


def torchvision_with_exits(
    model: str = "resnet18",
    at: tuple[str, ...] = ("layer1", "layer2", "layer3"),
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
) -> BackboneWithExits:
    """A classifier of torchvision by its name, untrained, with exits after the named modules.

    For trained weights call :func:`with_exits` on the model that has them.

    Args:
        model: A name in ``torchvision.models.list_models(torchvision.models)``.
        at: Names of its modules; see :func:`with_exits`.
        num_classes: Classes, the width of every exit.
        in_channels: Channels of the images; torchvision's models take 3.

    Raises:
        ValueError: No such model or module, or images of another number of channels.
    """
    from torchvision import models

    known = models.list_models(models)
    if model not in known:
        raise ValueError(f"model: expected a classifier of torchvision, found {model!r}{did_you_mean(model, known)}")
    if in_channels != 3:
        raise ValueError(f"in_channels: expected 3, which torchvision's models take, found {in_channels}")
    return with_exits(models.get_model(model, weights=None, num_classes=num_classes), at)


class BackboneWithExits(AnytimeNetwork):
    """What :func:`with_exits` gives.

    The state is a tuple: the features that the exit reads, then what else the backbone still needs.
    """

    def __init__(
        self, segments: Iterable[nn.Module], heads: Iterable[nn.Module], backbone: str, at: Iterable[str]
    ) -> None:
        super().__init__(segments, heads)
        self.backbone, self.at = backbone, tuple(at)

    def extra_repr(self) -> str:
        """Whose exits these are, shown by ``repr``."""
        return f"backbone={self.backbone}, at={self.at}, num_exits={self.num_exits}"


class ExitHead(nn.Module):
    """A new exit: one linear layer, for the shape of the features that the exit reads.

    Maps [N, C, H, W] are averaged globally, without a ReLU before it: the blocks of stock networks end with their own.
    Of tokens [N, T, D] the first one, which is ViT's class token, is taken and normalised by its layer (layer norm, as
    ViT's blocks leave their sum as it is). Features [N, D] are taken as they are.

    Args:
        name: Where the exit is, for the error.
        shape: Shape of the features, of any N.
        num_classes: Classes, the width of the logits.

    Raises:
        ValueError: Features of another number of dimensions.
    """

    def __init__(self, name: str, shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        if len(shape) not in (2, 3, 4):
            raise ValueError(f"at: expected features of 2 to 4 dimensions after {name}, found shape {tuple(shape)}")
        channels = shape[1] if len(shape) == 4 else shape[-1]
        self.norm = nn.LayerNorm(channels, eps=1e-6) if len(shape) == 3 else nn.Identity()  # ViT's eps
        self.linear = nn.Linear(channels, num_classes)
        self.apply(he_initialise)

    def forward(self, state: tuple[Tensor, ...]) -> Tensor:
        """Logits of this exit."""
        x = state[0]
        if x.ndim == 4:
            x = global_average(x)
        elif x.ndim == 3:
            x = x[:, 0]
        return self.linear(self.norm(x))


class _Tracer(fx.Tracer):
    """Notes what each module gives. Layers of torch.nn and torchvision.ops are not looked into."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, Any] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = m.__module__.startswith("torchvision.ops") and not isinstance(m, nn.Sequential)
        return ours or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        self.results[self.path_of_module(m)] = result
        return result


def _trace(backbone: nn.Module) -> tuple[fx.Graph, dict[str, fx.Node]]:
    """The backbone's operations in the order in which they run, and the one that gives each module's result."""
    backbone.train()
    in_training = str(_Tracer().trace(backbone))
    backbone.eval()
    tracer = _Tracer()
    graph = tracer.trace(backbone)
    if str(graph) != in_training:
        raise ValueError("backbone: expected the same operations in training and evaluation, found different ones")
    return graph, {name: result.node for name, result in tracer.results.items() if isinstance(result, fx.Proxy)}


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
    return {name: ends[name] for name in sorted(at, key=lambda name: nodes.index(ends[name]))}


def _split(backbone: nn.Module, nodes: list[fx.Node], places: Sequence[fx.Node]) -> list[nn.Module]:
    """One module per place: it runs the operations from the place before to this one, in the backbone's order."""
    position = {node: number for number, node in enumerate(nodes)}
    bounds = [0, *(position[place] + 1 for place in places[:-1]), len(nodes)]
    segments, state = [], []
    for number, ((start, stop), place) in enumerate(zip(pairwise(bounds), places, strict=True), start=1):
        graph = fx.Graph()
        given = graph.placeholder("state")
        new = {node: graph.call_function(operator.getitem, (given, item)) for item, node in enumerate(state)}
        for node in nodes[start:stop]:
            new[node] = given if node.op == "placeholder" else graph.node_copy(node, new.__getitem__)
        # what later operations read, and the output (which has no position) in the end
        needed = [n for n in nodes[:stop] if any(position.get(user, len(nodes)) >= stop for user in n.users)]
        state = [place, *(node for node in needed if node is not place)]
        graph.output(new[place] if number == len(places) else tuple(new[node] for node in state))
        segments.append(fx.GraphModule(backbone, graph, f"{type(backbone).__name__}Segment"))
    return segments


def _shapes(modules: Iterable[nn.Module], images: Tensor) -> list[torch.Size]:
    """Shape of the tensor, or of the first one, that each module gives in a row; on copies without data."""
    shapes, state = [], images.to("meta")
    with torch.no_grad():
        for module in copy.deepcopy(nn.ModuleList(modules)).to("meta").eval():
            state = module(state)
            shapes.append((state[0] if isinstance(state, tuple) else state).shape)
    return shapes
