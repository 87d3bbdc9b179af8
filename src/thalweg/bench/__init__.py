"""The benchmark: thalweg beside other libraries, with equal losses first and losing rows kept.

Run it as ``python -m thalweg.bench``, or as ``make bench``, which installs the other libraries.
"""
