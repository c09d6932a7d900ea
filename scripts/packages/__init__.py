"""The package as people install it: `make packages` for what is here, `--published` for PyPI's."""
