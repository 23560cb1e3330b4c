"""The rim's side of learning dynamics: parts of a study by gin, the study, its figures."""
