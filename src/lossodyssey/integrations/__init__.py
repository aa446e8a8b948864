"""The losses where people already work: one module per framework, imported only by those who use it."""
