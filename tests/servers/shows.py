"""Returns pictures, links and embedded resources."""

from _lines import reader, serve

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)
CONTENT = [
    {"type": "text", "text": "a picture"},
    {"type": "image", "data": PIXEL, "mimeType": "image/png"},
    {"type": "resource_link", "uri": "file:///notes.txt", "name": "notes.txt"},
    {
        "type": "resource",
        "resource": {"uri": "memo://1", "mimeType": "text/plain", "text": "a memo"},
    },
]

serve([reader("show")], lambda name, arguments, message: {"content": CONTENT})
