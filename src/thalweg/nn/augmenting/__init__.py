"""Augmentation of images inside the compiled step: every image has random numbers of its own."""
