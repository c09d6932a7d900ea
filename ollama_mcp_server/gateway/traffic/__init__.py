"""Requests and answers on their way to the daemon and back: bounded, fair, streamed."""
