"""What a search shows: live tables, reports, plots and how much each hyperparameter mattered."""
