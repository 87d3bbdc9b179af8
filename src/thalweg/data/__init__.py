"""Tables: reading, typing with a report, encoding, splits, metrics and baselines.

Nothing here knows of tensors. Import from the modules themselves (``thalweg.data.reading``, ...):
this file stays empty so that importing the package reads neither pyarrow nor scikit-learn.
"""
