"""The Open Inference Protocol: decode requests, encode answers."""
