"""Runs of an agent, as all APIs serve them."""
