"""Statistics: metrics, standard errors, intervals, advice."""
