"""The microscope: what a loss sees and pulls on, in numbers, pictures and a page."""
