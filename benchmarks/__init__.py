"""How fast the package is, as ratios: against what a user would write otherwise, and against the machine's own limit.

``python -m benchmarks`` measures and keeps one result file per device; ``notebooks/benchmarks.ipynb`` shows them. Every
figure is a ratio of two things that took turns in one process, so that a slow minute of the machine hits both.
"""
