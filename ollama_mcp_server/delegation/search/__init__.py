"""Which passages answer a question, by their vectors."""
