"""nnU-Net v2: every loss of the atlas as a trainer that it finds by name."""
