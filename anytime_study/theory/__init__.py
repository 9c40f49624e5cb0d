"""The theory of the study as formulas and small exact experiments: NumPy and SciPy only, in double precision.

:mod:`.quadratics` and :mod:`.linear_residual` have losses whose minimisers are known in closed form, to try statements
on; :mod:`.geometric_mean` has AdaLoss. The deeper chapters have modules of their own: :mod:`.likelihood_and_barrier`,
:mod:`.batch_noise`, :mod:`.slow_exit`, :mod:`.fairness_axioms`, and for sequences of networks :mod:`.cost_inflation`
(formulas) and :mod:`.cost_simulation`, which knows none of them.

An argument outside its range is a ValueError that names it. Nothing here knows a network or a training run.
"""
