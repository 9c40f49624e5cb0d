"""Records in, numbers and verdicts out."""
