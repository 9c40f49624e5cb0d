"""What everything else stands on: files written whole, checked input, registries, provenance."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout: records, studies and claims have their places in it."""
