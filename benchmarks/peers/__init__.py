"""The same meta-gradient in PyTorch, JAX and tf_gtn, each a worker process."""
