"""The theory of the study as formulas and small exact experiments: NumPy and SciPy only, in double precision.

- :mod:`.quadratics`: losses of several exits whose minimisers are known in closed form, to test statements on;
- :mod:`.geometric_mean`: the objective that AdaLoss descends, its gradient and its fixed points;
- further modules build on these two, one per group of statements; each is used by one chapter of the book.

Nothing here knows a network or a training run.
"""
