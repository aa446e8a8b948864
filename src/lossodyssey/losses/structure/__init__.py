"""Losses of the structure of objects: centre lines, topology, relations between classes and neighbourhoods."""
