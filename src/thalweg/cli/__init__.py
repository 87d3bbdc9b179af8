"""The command line: ``thalweg train``, ``thalweg predict``, ``thalweg summary``."""
