"""Training: the step as one graph, the loop around it, stopping, checkpoints, history."""
