"""The theory of the study as formulas and small exact experiments: NumPy and SciPy only, in double precision.

:mod:`.quadratics` and :mod:`.linear_residual` have losses whose minimisers are known in closed form, to try statements
on. *What AdaLoss does* uses :mod:`.losses_of_different_size` and :mod:`.geometric_mean`. The deeper chapters have
modules of their own: :mod:`.likelihood_and_barrier`, :mod:`.descent_and_failure` (with :mod:`.batch_noise` and
:mod:`.slow_exit`), :mod:`.fairness_axioms`, and for sequences of networks :mod:`.cost_inflation` (formulas) and
:mod:`.cost_simulation`, which knows none of them.

An argument outside its range is a ValueError that names it. Nothing here knows a network or a training run.
"""
