"""The tools, a module for each family. Drop a module in, and its tools are there."""
