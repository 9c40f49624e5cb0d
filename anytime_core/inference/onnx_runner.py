"""Run what :func:`anytime_core.inference.export.export_onnx` wrote without PyTorch: copy this, add onnxruntime."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime


class OnnxRunner:
    """Answers of an exported network, exit by exit, on one thread."""

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        self.card = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._sessions = [
            onnxruntime.InferenceSession(folder / step["file"], options, providers=["CPUExecutionProvider"])
            for step in self.card["steps"]
        ]

    def refine(self, *inputs: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Exit and logits [N, classes] of inputs [N, ...], one after the other; stop when you like."""
        state = list(inputs)
        for step, session in zip(self.card["steps"], self._sessions, strict=True):
            state = list(inputs) if step["takes_inputs"] else state
            names = [one.name for one in session.get_inputs()]
            logits, *state = map(np.asarray, session.run(None, dict(zip(names, state, strict=True))))
            yield step["exit"], logits

    def predict(self, *inputs: npt.NDArray[Any], deadline: float) -> tuple[int, npt.NDArray[np.float32]]:
        """The last answer that is begun before the deadline, in seconds from this call; the first one at least."""
        end = time.perf_counter() + deadline
        answers = self.refine(*inputs)
        answer = next(answers)
        while time.perf_counter() < end and (better := next(answers, None)) is not None:
            answer = better
        return answer
