"""Measurements, each a program that prints one line of JSON."""
