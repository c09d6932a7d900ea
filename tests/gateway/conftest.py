"""What is collected where."""

import sys

#: Schemathesis has no version for Python 3.10 that works as the test needs it.
collect_ignore = [] if sys.version_info >= (3, 11) else ["test_documents.py"]
