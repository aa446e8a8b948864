"""The figures of the report: each a function from a small table to a matplotlib Figure."""
