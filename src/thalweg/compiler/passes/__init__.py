"""Passes: graph in, graph out, by tables of named rules."""
