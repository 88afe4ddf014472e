"""Tables with more features than a co-moment matrix has room for: streamed, never held whole."""
