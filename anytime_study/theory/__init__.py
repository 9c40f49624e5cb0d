"""The theory of the study as formulas and small exact experiments: NumPy and SciPy only, in double precision.

- :mod:`.quadratics`: losses of several exits whose minimisers are known in closed form, to test statements on;
- :mod:`.geometric_mean`: the objective that AdaLoss descends, its gradient and its fixed points.

On these two stand the chapters of the book:

- *Losses of different size*: :mod:`.two_exits`, :mod:`.solutions`, :mod:`.pareto`;
- *The geometric mean*: :mod:`.descent`;
- *Weights as likelihood and as barrier*: :mod:`.likelihood`;
- *Why it descends, and where it can fail*: :mod:`.majorise_minimise`, :mod:`.singularity`, :mod:`.batch_noise`,
  :mod:`.slow_exit`;
- *A sequence of networks*: :mod:`.cost_inflation` (formulas), :mod:`.cost_simulation` (knows none of them);
- *Fairness axioms*: :mod:`.aggregators`, :mod:`.bargaining`.

Nothing here knows a network or a training run.
"""
