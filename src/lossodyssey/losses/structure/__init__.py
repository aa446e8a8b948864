"""Losses of the structure of objects: centre lines, connectivity."""
