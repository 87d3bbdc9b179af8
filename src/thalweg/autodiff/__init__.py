"""Differentiation: forward and reverse mode as transformations of graphs, numerical checks."""
