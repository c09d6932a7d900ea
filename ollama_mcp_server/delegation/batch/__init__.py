"""One prompt over many items: paced, kept, resumed."""
