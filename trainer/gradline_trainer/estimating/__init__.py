"""Read what scikit-learn's estimator takes: frames, matrices and the pipeline around it."""
