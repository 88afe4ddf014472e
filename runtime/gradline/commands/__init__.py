"""The commands of the light runtime, one module each."""
