"""Finished runs side by side: found, grouped, named, told."""
