"""The rim's side of architecture search: building by gin, the experiment, its figures."""
