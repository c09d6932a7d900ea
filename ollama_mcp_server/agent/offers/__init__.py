"""What a model is offered: tools under names and parameters that it can write."""
