"""The descent: the problem, its coordinates, the losses, and the loop."""
