"""The primitives, a file for each family, and the functions that users call.

``functions`` holds the public face; importing it also installs the operators of Tensor.
"""
