"""How fast the package is: ``python -m benchmarks`` measures, and keeps one report per device in ``results``.

The chapters ``notebooks/benchmarks.ipynb`` and ``notebooks/deadlines.ipynb`` show the reports. Whatever is compared
takes turns in one process, so that a slow minute of the machine affects both sides, and is told as a ratio.
"""
