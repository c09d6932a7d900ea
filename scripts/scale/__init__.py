"""The scaled-out system at work, and while parts of it die: `make scale`.

Two Ollama daemons, two servers, HAProxy before them and Valkey beside them, as processes on this
machine's loopback interface, without containers.
"""
