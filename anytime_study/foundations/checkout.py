"""Where the checkout lies: records, studies and claims have their places in it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
