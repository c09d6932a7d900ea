"""The command's other uses than serving: a module for each, and what they share."""
