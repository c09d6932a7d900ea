"""Several Ollama hosts behind one client: which one answers, and another where it does not."""
