"""What outlives a call: conversations, and where they are stored."""
