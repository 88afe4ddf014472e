"""What scikit-learn's estimator takes: frames with names, and the pipeline that it is fitted in."""
