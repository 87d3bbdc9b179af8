"""Populations: many networks trained at once, each with its own seed, settings and rows.

A member is trained by the same program as a network alone, run by one thread, so that it is bit for
bit the network that ``fit`` gives for its settings. Members of one shape share traces and machine
code (:mod:`thalweg.training.programs`); the cores are shared by members (:mod:`.crew`).
"""
