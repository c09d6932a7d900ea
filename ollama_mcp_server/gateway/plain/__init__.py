"""Our own plain routes: ask a question, do a thing, call a tool."""
