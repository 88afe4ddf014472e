"""The report: one HTML file with plots and a panel that computes the model."""
