"""The base under the losses: the loss and its kinds, the pair and its context, the criterion, the text, the atlas."""
