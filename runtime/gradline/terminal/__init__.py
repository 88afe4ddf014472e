"""Print answers on stdout; progress, warnings and errors on stderr."""
