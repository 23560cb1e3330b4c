"""One experiment, whatever the system: a program, its arms and seeds, their analyses."""
