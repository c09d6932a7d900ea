"""Who may come in, and what is allowed to whom."""
