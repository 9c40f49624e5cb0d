"""Many runs: study files, what they cost, and how they are run."""
