"""The rim's side of the teaching system."""
