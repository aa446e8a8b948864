"""Losses of the overlap between prediction and truth."""
