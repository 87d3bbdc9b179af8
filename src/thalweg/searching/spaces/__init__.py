"""What is searched: ranges of hyperparameters, spaces of them, and their files."""
