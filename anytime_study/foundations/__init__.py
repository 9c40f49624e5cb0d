"""What everything else stands on: files written whole, checked input, registries, provenance."""
