"""ptbench_torch."""
