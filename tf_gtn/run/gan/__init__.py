"""The rim's side of GANs: building by gin, the experiment of several unrolled ones, its figures."""
