"""Learning dynamics: which structure of a task learners, LSTM meta-learners and Bayes' rule pick up first (Rabinowitz 2019)."""
