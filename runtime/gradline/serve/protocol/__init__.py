"""The Open Inference Protocol: requests decoded, answers encoded."""
