"""Freezing: W and b into ONNX and TorchScript, the golden rows, the certificates, the manifest."""
