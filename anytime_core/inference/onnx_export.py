"""A network as ONNX files, one per step, for places without PyTorch, where onnx_runner.py runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from anytime_core.files import atomic_write
from anytime_core.inference.steps import Step, find_steps, step_costs

if TYPE_CHECKING:
    from anytime_study.training.artefacts import TrainedModel

STEPS = "steps.json"


def export_onnx(model: TrainedModel, folder: Path) -> Path:
    """Write one ONNX file per step (segments and head) and steps.json, which says in which order they run.

    Each file takes the state that the one before it left (the first one of a member: normalised images, float32
    [N, C, H, W]) and gives the logits, float32 [N, classes], and, but for the last step of a member, the new state. N
    is free. In an :class:`EANN` exits that are not adopted are left out.

    Needs the extra ``onnx``: onnx, onnxscript and onnxruntime.

    Args:
        model: The network on the CPU and its card.
        folder: Made if it is missing; files of an earlier export are replaced.

    Returns:
        The path of steps.json, written last.

    Raises:
        OSError: the folder cannot be written.
    """
    net, card = model
    steps = find_steps(net.eval())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STEPS).unlink(missing_ok=True)  # without it nobody runs old steps together with new ones
    # two images, so that the exporter does not take 1 for a constant of the network
    state: Any = torch.zeros(2, *card.image_shape)
    images, told = state, []
    for position, step in enumerate(steps):
        if position == step.member_start:
            state = images
        ends = position + 1 == len(steps) or steps[position + 1].member_start == position + 1
        name = f"step-{step.exit:02d}.onnx"
        state = _export_step(step, state, folder / name, ends=ends)
        told.append({"exit": step.exit, "file": name, "takes_images": position == step.member_start})
    content = {
        "steps": [
            {**one, "macs": macs} for one, macs in zip(told, step_costs(net, card.image_shape).streamed, strict=True)
        ],
        "class_names": card.class_names,
        "image_shape": card.image_shape,
        "mean": card.mean,
        "std": card.std,
    }
    path = folder / STEPS
    atomic_write(path, json.dumps(content, indent=1) + "\n")
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
