"""Update rules, learning-rate schedules and clipping: pure functions as descriptions."""
