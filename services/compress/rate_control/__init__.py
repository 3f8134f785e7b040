"""Which settings meet a target at the fewest bytes."""
