"""The lab: what it trains, what its checkpoints expect, and what it shows only after a prediction.

The notebook gives answers to ``Lab.check`` and holds none of them, so that it can be handed to a class as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from matplotlib.figure import Figure
from pydantic import Field

from anytime_core import AdaLoss, AnytimePredictor
from anytime_study.pages.notebook import NotebookParameters
from anytime_study.runs.config import RunConfig
from anytime_study.runs.tables import exits_table
from anytime_study.training.loop import TrainingRun

NEAR, FAR = "less than 2 percentage points", "more"
PRICE = 5
"""How many percentage points more errors the first exit may make in the last training of the lab."""

_NEAR_ENOUGH = 3
"""A floor counts as small enough once a smaller one failed, smaller by this factor at most."""

_NO_ANSWER, _RIGHT, _CAME = "no answer yet.", "right.", "and so it came."
_IN_CLASS, _PREDICTIONS = (1, 2, 3, 4, 7, 8), (5, 6)


class LabParameters(NotebookParameters):
    """What the first cell of the lab may change."""

    seed: int = Field(ge=0)
    epochs: int = Field(ge=2)
    units: int = Field(ge=1)
    channels: int = Field(ge=1)
    floor: float = Field(gt=0, le=1)


class Lab:
    """One sitting of the lab.

    Attributes:
        parameters: Of the notebook.
        plain: The run with equal weights.
        formula: The run with AdaLoss by its formula.
        means: The losses of question 3.
    """

    def __init__(self, parameters: LabParameters) -> None:
        self.parameters = parameters
        self.plain = self.prepare("const")
        self.formula = self.prepare("adaloss_formula")
        self.means = torch.tensor([1.6, 0.8, 0.4, 0.2])
        self._costs = list(self.plain.costs.macs_cumulative)
        self._half = self._costs[-1] / 2
        self._prediction: tuple[str, str] | None = None
        self._said: dict[int, dict[str, str]] = {}  # by question and answer
        self._tries: dict[float, list[float]] = {}  # floor -> errors of the exits in per cent
        self._judges: dict[int, Callable[[Any], str]] = {
            1: lambda answer: judged(answer, self._costs[1] / self._costs[-1], tolerance=0.01),
            2: lambda answer: judged(answer, max(n for n, macs in enumerate(self._costs, 1) if macs <= self._half)),
            3: lambda answer: judged(answer, self._weights_of_the_package(), tolerance=1e-4),
            4: lambda answer: judged(answer, (self.parameters.floor, 0.0), tolerance=1e-3),
            5: lambda _: self._about_the_prediction(0),
            6: lambda _: self._about_the_prediction(1),
            7: lambda answer: judged(answer, ratio := self._ratio_of_weights(), tolerance=0.01 * ratio),
            8: self._about_the_floor,
            9: lambda answer: judged(answer, self._exit_of_half()),
            10: about_garments,
        }

    def prepare(self, weighting: str) -> TrainingRun:
        """A run on digits that differs from the others of this lab in its weighting only."""
        config = RunConfig(
            dataset="digits",
            augment=False,
            network=f"resann(n={self.parameters.units}, c={self.parameters.channels})",
            weighting=weighting,
            seed=self.parameters.seed,
            epochs=self.parameters.epochs,
            batch_size=32,
        )
        return TrainingRun(config)

    def check(self, number: int, answer: Any = None) -> Markdown:
        """Say whether an answer is right; a wrong one learns in which direction, not what is right."""
        missing = answer is None or (isinstance(answer, tuple) and None in answer)
        said = _NO_ANSWER if missing and number not in _PREDICTIONS else self._judges[number](answer)
        if said != _NO_ANSWER:
            answers = self._said.setdefault(number, {})
            answers.pop(repr(answer), None)  # the last one is last in order
            answers[repr(answer)] = said.partition("\n")[0]
        return Markdown(f"**Checkpoint {number}:** {said}")

    def score(self) -> Markdown:
        """How many questions are right, and after how many answers each; those at home do not count."""
        if not self._said:
            return Markdown("*No answers yet.*")
        right = sum(self._was_said(_RIGHT, number) for number in _IN_CLASS)
        came = sum(self._was_said(_CAME, number) for number in _PREDICTIONS)
        lines = [
            f"**Right: {right} of {len(_IN_CLASS)} questions. Predictions that came true: {came} of 2.**",
            "",
            "| question | different answers | what the checkpoint said last |",
            "| --- | --- | --- |",
        ]
        for number, answers in sorted(self._said.items()):
            lines.append(f"| {number} | {len(answers)} | {list(answers.values())[-1]} |")
        return Markdown("\n".join(lines))

    def _was_said(self, word: str, number: int) -> bool:
        return any(word in said for said in self._said.get(number, {}).values())

    def predict(self, better_first_exit: str | None, difference_at_the_end: str | None) -> Markdown:
        """Keep a prediction. The first complete one counts, whatever is written later."""
        if self._prediction is None:
            if better_first_exit is None or difference_at_the_end is None:
                return Markdown("*Results stay hidden until both predictions are written.*")
            choices = ("const", "adaloss_formula"), (NEAR, FAR)
            for given, known in zip((better_first_exit, difference_at_the_end), choices, strict=True):
                if given not in known:
                    return Markdown(f"Expected {known[0]!r} or {known[1]!r}, found {given!r}.")
            self._prediction = better_first_exit, difference_at_the_end
        first, last = self._prediction
        return Markdown(f"Your prediction is kept: *{first}* at exit 1, *{last}* at the end. Go on.")

    def reveal(self, show: Callable[[], Any]) -> Any:
        """Show a result, if a prediction has been kept; a figure is closed, or Jupyter would show it twice."""
        if self._prediction is None:
            return Markdown("*Hidden until part 3 is answered.*")
        shown = show()
        if isinstance(shown, Figure):
            plt.close(shown)
        return shown

    def results(self) -> pd.DataFrame:
        """Cost, error and weight of every exit of both runs, after training."""
        return exits_table([self.plain.record(), self.formula.record()])

    def _weights_of_the_package(self) -> torch.Tensor:
        weigh = AdaLoss(len(self.means), momentum=0, refresh_period=1, floor=self.parameters.floor)
        weigh(self.means)
        return weigh.weights

    def _about_the_prediction(self, place: int) -> str:
        if self._prediction is None:
            return _NO_ANSWER
        errors = self.results().pivot(index="exit", columns="weighting", values="test_error").mul(100)
        gap = abs(errors["const"].iloc[-1] - errors["adaloss_formula"].iloc[-1])
        came = (errors.loc[1].idxmin(), NEAR if gap < 2 else FAR)[place]
        given = self._prediction[place]
        return f"you predicted {given!r}{f', {_CAME}' if given == came else '. It came otherwise.'}"

    def _ratio_of_weights(self) -> float:
        weights = self.results().query("weighting == 'adaloss_formula'")["weight"]
        return weights.max() / weights.iloc[0]

    def _about_the_floor(self, floor: Any) -> str:
        if isinstance(floor, bool) or not isinstance(floor, (int, float)) or not 0 <= floor <= 1:
            return f"expected a number from 0 to 1, found {floor!r}."
        floor = float(floor)
        if floor not in self._tries:
            run = self.prepare(f"adaloss_formula(floor={floor})")
            run.fit(progress=False)
            self._tries[floor] = percent(run)
        plain = percent(self.plain)
        enough = {tried for tried, (first, *_) in self._tries.items() if first <= plain[0] + PRICE}
        best = min(enough, default=None)
        known = best == 0 or (best and any(best / _NEAR_ENOUGH <= tried < best for tried in self._tries))
        if floor in enough:
            word = _RIGHT if known and floor == best else "works, but look for a smaller one."
        else:
            word = f"too small, so {best:g} is {_RIGHT}" if known else "too small."
        rows = [("`const`", plain), *((f"{tried:g}", errors) for tried, errors in sorted(self._tries.items()))]
        lines = [f"| floor | errors of exit 1 | errors of exit {len(plain)} |", "| --- | --- | --- |"]
        lines += [f"| {name} | {errors[0]:.1f} % | {errors[-1]:.1f} % |" for name, errors in rows]
        return "\n".join([word, "", *lines])

    def _exit_of_half(self) -> int:
        image = self.plain.data.normalise(self.plain.data.test_images[:1])
        return AnytimePredictor(self.plain.network).predict(image, macs=self._half).exit


def percent(run: TrainingRun) -> list[float]:
    """The test error of each exit of a trained run, in per cent."""
    return [100 * error for error in run.record().test.error]


def about_garments(answer: Any) -> str:
    """What the checkpoint says of the weight of exit 1 on images of garments, relative to the largest weight."""
    if answer == "larger":
        return (
            f"{_RIGHT} A small network does not learn garments by heart in five epochs, so no loss comes close to 0, "
            "and all weights are of similar size."
        )
    if answer == "smaller":
        return "not yet: compare the picture of weights in `out.ipynb` with that of part 4."
    return f"expected 'larger' or 'smaller', found {answer!r}."


def judged(answer: Any, expected: Any, *, tolerance: float = 0.0) -> str:
    """What a checkpoint says of a number, or of numbers in order.

    Args:
        answer: What somebody wrote.
        expected: What is right.
        tolerance: Largest distance that is still right.
    """
    given, right = np.asarray(answer), np.asarray(expected, dtype=float)
    if given.dtype.kind not in "iuf" or given.shape != right.shape or np.isnan(given).any():
        count = "one number" if right.size == 1 else f"{right.size} numbers"
        return f"expected {count}, found {answer!r}."
    wrong = np.abs(given - right) > tolerance
    if not wrong.any():
        return _RIGHT
    if right.ndim == 0:
        return "too small." if given < right else "too large."
    places = 1 + np.flatnonzero(wrong)
    return f"not yet: look at number{'s' if len(places) > 1 else ''} {', '.join(map(str, places))}."
