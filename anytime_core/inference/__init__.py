"""A trained network in use: stopped at any moment, early exit, latency, artefacts."""
