"""Generators, learners and the distribution that learners are drawn from."""
