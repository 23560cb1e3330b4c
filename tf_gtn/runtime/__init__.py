"""The rim: what a program needs around the library. Only this package imports gin and absl."""
