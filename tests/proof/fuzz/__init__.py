"""Bad input, as tests/fuzz makes it up, where a real daemon stands behind the tools."""
