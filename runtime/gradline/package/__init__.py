"""A package: the layout of its folder, its manifest, its graph, its golden rows, its signature."""
