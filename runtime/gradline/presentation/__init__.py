"""What inspect, the report and the summary show of a package, in which order."""
