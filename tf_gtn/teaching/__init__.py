"""Generative Teaching Networks: treatments, training, evaluation, export and load."""
