"""Figures of the results chapters, drawn from tables of measures (never from live networks)."""
