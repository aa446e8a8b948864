"""Archives as they were distributed, made into checked data sets: a file per archive, with a tuple RECIPES."""
