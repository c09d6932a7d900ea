"""What makes a call to a model dependable; shared by the tools, whatever their dialect."""
