"""The base under the losses: the loss and its kinds, the pair and its context, the criterion, the text, the atlas."""

from __future__ import annotations

# Whatever part is imported first, the atlas is full: a text can be parsed, and a loss be asked for by its name.
import lossodyssey.losses
