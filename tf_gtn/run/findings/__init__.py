"""What a run found: numbers, claims, figures, report."""
