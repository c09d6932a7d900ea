"""What is seen of the work: logs, figures, traces, the state of it."""
