"""The page of `ganlab.explore`, and what it shows."""
