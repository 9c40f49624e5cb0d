"""A network as ONNX files, one per step, for places without PyTorch, where onnx_runner.py runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from anytime_core.errors import needed_package
from anytime_core.files import atomic_write
from anytime_core.inference.inputs import InputChecks
from anytime_core.inference.steps import Step, ready_for_inference
from anytime_core.networks.base import AnytimeNetwork

STEPS = "steps.json"


def export_onnx(net: AnytimeNetwork, inputs: Any, folder: Path | str, about: Mapping[str, Any] | None = None) -> Path:
    """Write one ONNX file per step (segments and head) and steps.json, which says in which order they run.

    Each file takes the state that the one before it left (the first one of a member: the inputs) and gives the logits,
    [N, classes], and, but for the last step of a member, the new state. N is free. In an :class:`EANN` exits that are
    not adopted are left out.

    Args:
        net: The network on the CPU; it is put into evaluation mode.
        inputs: A batch of what it takes; only type and shape count.
        folder: Made if it is missing; files of an earlier export are replaced.
        about: What else a user of the files has to know, such as class names, for JSON; it is kept in steps.json.

    Returns:
        The path of steps.json, written last.

    Raises:
        ImportError: the packages onnx and onnxscript are missing; it says how to get them.
        InputError: inputs that the network does not take.
        OSError: the folder cannot be written.
    """
    for package in ("onnx", "onnxscript"):
        needed_package(package, extra="onnx")
    folder = Path(folder)
    steps = ready_for_inference(net)
    costs = InputChecks(net, steps)(inputs).streamed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STEPS).unlink(missing_ok=True)  # without it nobody runs old steps together with new ones
    # two rows, so that the exporter does not take 1 for a constant of the network
    inputs = tree_map_only(Tensor, lambda x: torch.cat([x[:1], x[:1]]), inputs)
    state, told = inputs, []
    for position, step in enumerate(steps):
        starts = position == step.member_start
        ends = position + 1 == len(steps) or steps[position + 1].member_start == position + 1
        name = f"step-{step.exit:02d}.onnx"
        state = _export_step(step, inputs if starts else state, folder / name, ends=ends)
        told.append({"exit": step.exit, "file": name, "takes_inputs": starts, "macs": costs[position]})
    path = folder / STEPS
    atomic_write(path, json.dumps({**(about or {}), "steps": told}, indent=1) + "\n")
    return path


class _FlatStep(nn.Module):
    """A step from tensors to tensors: ONNX knows no lists of maps."""

    def __init__(self, step: Step, spec: Any, *, ends: bool) -> None:
        super().__init__()
        self.segments, self.head = nn.ModuleList(step.segments), step.head
        self._spec, self._ends = spec, ends

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        state = tree_unflatten(list(tensors), self._spec)
        for segment in self.segments:
            state = segment(state)
        logits = self.head(state)
        return (logits,) if self._ends else (logits, *tree_flatten(state)[0])


def _export_step(step: Step, state: Any, path: Path, *, ends: bool) -> Any:
    """Write one file; gives the state after the step."""
    tensors, spec = tree_flatten(state)
    flat = _FlatStep(step, spec, ends=ends).eval()
    with torch.no_grad():
        after = state
        for segment in step.segments:
            after = segment(after)
    count = len(tree_flatten(after)[0])
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        flat,
        tuple(tensors),
        path,
        input_names=[f"state_{place}" for place in range(len(tensors))],
        output_names=["logits", *([] if ends else [f"next_{place}" for place in range(count)])],
        dynamic_shapes=[({0: batch},) * len(tensors)],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    return after
