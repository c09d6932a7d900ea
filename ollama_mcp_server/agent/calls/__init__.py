"""Calls as models make them, and results as models are told them."""
