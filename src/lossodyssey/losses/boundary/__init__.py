"""Losses of the distance between the boundaries of prediction and truth."""
