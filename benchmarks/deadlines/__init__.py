"""Deadlines on real hardware: `python -m benchmarks.deadlines` measures, notebooks/deadlines.ipynb shows."""
