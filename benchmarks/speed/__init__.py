"""Our engine against the naive recipes and the machine itself, in one run: ``tastemaker bench``."""
