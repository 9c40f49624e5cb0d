"""A network's operations in the order in which they run, each with the shape of what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from anytime_core.networks.inputs import on_meta

ADVICE = "Give AnytimeNetwork two lists instead: segments, the parts that run between two exits, and a head for each"


def trace(backbone: nn.Module, inputs: Any) -> tuple[fx.Graph, dict[str, fx.Node]]:
    """The operations as a graph, and the one that gives the (first) result of each module, at its last call.

    Sizes stay what they are computed from, so that the graph serves any batch; what the code decides by them is decided
    as for these inputs. Constants that differ in training, such as a dropout rate, are chosen as the graph runs. Every
    node has in ``meta["value"]`` what it gives, without data.

    Args:
        backbone: The network, in any mode; it is left in evaluation mode.
        inputs: What it is called with, on the meta device: a tensor, a tuple of arguments or a dict of them.

    Raises:
        ValueError: It cannot be written as one row of operations. The error says where and why.
    """
    graphs = []
    for training in (True, False):
        tracer = _Tracer(on_meta(backbone).train(training), inputs)
        try:
            graphs.append(tracer.trace(backbone.train(training)))
        except Exception as error:  # any code of a user's may run here
            where = f"in {tracer.where}: " if tracer.where else ""
            problem = str(error).partition("\n")[0]
            raise ValueError(f"backbone: cannot be cut into segments ({where}{problem}). {ADVICE}.") from error
    _join(graphs[1], graphs[0])
    return graphs[1], tracer.results


class _Tracer(fx.Tracer):
    """Runs every operation on tensors without data too. Layers of torch.nn and torchvision.ops are not looked into."""

    def __init__(self, shadow: nn.Module, inputs: Any) -> None:
        super().__init__()
        self.shadow, self.inputs = shadow, inputs
        self.results: dict[str, fx.Node] = {}
        self.where = ""  # the innermost module that failed
        self._running = False

    def create_args_for_root(self, root_fn: Any, *_: Any, **__: Any) -> tuple[Any, list[Any]]:
        """Only what ``inputs`` gives is an input; all other arguments keep their defaults."""
        named = self.inputs if isinstance(self.inputs, Mapping) else {}
        values = [self.inputs] if isinstance(self.inputs, Tensor) else list(named.values() or self.inputs)
        given = []
        for number, value in enumerate(values):
            given.append(self.create_proxy("placeholder", f"input_{number}", (), {}))
            given[-1].node.meta["value"] = value
        if named:
            return lambda root, *x: root_fn(root, **dict(zip(named, x, strict=True))), [self.root, *given]
        return root_fn, [self.root, *given]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = m.__module__.startswith("torchvision.ops") and not isinstance(m, nn.Sequential)
        return ours or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        if self._running:
            return forward(*args, **kwargs)
        try:
            result = super().call_module(m, forward, args, kwargs)
        except Exception:
            self.where = self.where or self.path_of_module(m)
            raise
        first = result
        while isinstance(first, tuple | list | Mapping) and first:
            first = next(iter(first.values() if isinstance(first, Mapping) else first))
        if isinstance(first, fx.Proxy):
            self.results[self.path_of_module(m)] = first.node
        return result

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, target, *args, **kwargs)
        if kind != "placeholder":
            proxy.node.meta["value"] = self.value(proxy.node)
        return proxy

    def value(self, node: Any) -> Any:
        """What a node gives, or an argument is, without data."""
        if isinstance(node, Tensor):
            return node.to("meta")
        if not isinstance(node, fx.Node):
            return node
        if "value" in node.meta:
            return node.meta["value"]
        self._running = True  # modules and weights that are asked for now are not to be written down
        try:
            if node.op == "get_attr":
                path, _, name = str(node.target).rpartition(".")
                return getattr(self.root.get_submodule(path), name).to("meta")
            args, kwargs = map_aggregate((node.args, node.kwargs), self.value)
            self._running = True  # one of the arguments may have ended it
            with torch.no_grad():
                if node.op == "call_module":
                    return self.shadow.get_submodule(str(node.target))(*args, **kwargs)
                if node.op == "call_method":
                    return getattr(args[0], str(node.target))(*args[1:], **kwargs)
                return node.target(*args, **kwargs)
        except AttributeError as error:  # a stand-in would take it for a question about itself
            raise RuntimeError(str(error)) from error
        finally:
            self._running = False

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def to_bool(self, obj: fx.Proxy) -> bool:
        value = self.value(obj.node)
        if isinstance(value, Tensor):
            raise fx.proxy.TraceError("what runs depends on the values of a tensor, not on shapes alone")
        return bool(value)

    def iter(self, obj: Any) -> Iterator[Any]:
        return iter([obj[number] for number in range(len(self.value(obj.node)))])


class _Known:
    """A stand-in for a result whose shape is known."""

    tracer: _Tracer
    node: fx.Node

    def __iter__(self) -> Iterator[Any]:
        return self.tracer.iter(self)

    def __len__(self) -> int:
        value = self.tracer.value(self.node)
        if isinstance(value, Tensor):  # would stay that of the example, whatever batch comes
            raise fx.proxy.TraceError("expected x.shape[0] where the code has len(x), x a tensor")
        return len(value)

    def __getattr__(self, name: str) -> _Attribute:
        return _Attribute(self, name)  # ty: ignore[invalid-argument-type]


class _Proxy(_Known, fx.Proxy):  # ty: ignore[lost-keyword-for-regular-parameter]
    pass


class _Attribute(_Known, fx.proxy.Attribute):  # ty: ignore[lost-keyword-for-regular-parameter]
    pass


class Choice(nn.Module):
    """A constant that is another one in training. Unpickling traces again, and only modules are left as they are."""

    def __init__(self, in_training: Any, otherwise: Any) -> None:
        super().__init__()
        self.in_training, self.otherwise = in_training, otherwise

    def forward(self) -> Any:
        """The one for the present mode."""
        return self.in_training if self.training else self.otherwise


def _join(graph: fx.Graph, in_training: fx.Graph) -> None:
    """Let a module, in ``meta["choice"]``, give each constant that differs in training. Raises if operations differ."""
    nodes, others = list(graph.nodes), list(in_training.nodes)
    for node, other in zip(nodes, others, strict=False):  # of two lengths, one ends where the other goes on
        if (node.op, node.target) != (other.op, other.target):
            raise ValueError(
                f"backbone: cannot be cut into segments (in training it runs {other.name} where in evaluation it runs "
                f"{node.name}). {ADVICE}."
            )

    def joined(node: fx.Node, one: Any, other: Any) -> Any:
        if isinstance(one, fx.Node) or one is other:
            return one
        if isinstance(one, tuple | list) and isinstance(other, tuple | list) and len(one) == len(other):
            return type(one)([joined(node, *pair) for pair in zip(one, other, strict=True)])
        if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            return {key: joined(node, value, other[key]) for key, value in one.items()}
        if str(one) == str(other):
            return one
        with graph.inserting_before(node):
            chosen = graph.call_module(f"_choice_of_{node.name}_{len(graph.nodes)}")
        chosen.meta.update(value=one, choice=Choice(other, one))
        return chosen

    for node, other in zip(nodes, others, strict=True):
        node.args = joined(node, tuple(node.args), tuple(other.args))
        node.kwargs = joined(node, dict(node.kwargs), dict(other.kwargs))
