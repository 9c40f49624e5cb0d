"""What the workflow costs beside the training: `python -m benchmarks.cluster`, and `make slurm-test` for Slurm."""
