"""The rim of transfer: parts by gin, the experiment, its figures."""
