"""Real data of the workload, so that the loop runs on a laptop."""
