"""The resources, a module for each kind. Drop a module in, and its resources are there."""
