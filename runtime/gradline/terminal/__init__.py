"""What the commands print: answers on stdout, all that is said of them on stderr."""
