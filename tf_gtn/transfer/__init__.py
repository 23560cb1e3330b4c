"""Transfer across learning processes: Leap and its baselines, which learn where to begin (Flennerhag et al. 2019)."""
