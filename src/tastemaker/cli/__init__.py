"""tastemaker."""
