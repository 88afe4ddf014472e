"""A package: its folder, manifest, graph, golden rows and signature."""
