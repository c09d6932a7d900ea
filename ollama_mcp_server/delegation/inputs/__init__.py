"""What a prompt is made of: files, pictures and pages, each within bounds."""
