"""The parts of the blend: one way each to score works for patrons."""
