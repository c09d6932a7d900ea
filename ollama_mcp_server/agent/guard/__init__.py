"""What other servers may be, get, do and say: the bounds of an agent."""
