"""The documentation of the losses: their pages, their equals in other libraries, how they respond to one voxel."""
