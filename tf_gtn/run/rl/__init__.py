"""The rim's side of reinforcement learning: building by gin, the experiment of several agents and seeds, its figures."""
