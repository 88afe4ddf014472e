"""Tables with too many features for a co-moment matrix: streamed in blocks."""
