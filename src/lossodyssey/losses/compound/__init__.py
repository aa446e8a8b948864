"""Named sums of losses, and compounds that are not sums."""
