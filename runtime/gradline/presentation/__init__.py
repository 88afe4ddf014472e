"""What inspect, the report and the summary show of a package, and in which order."""
