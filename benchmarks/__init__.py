"""The commands that measure what the project claims, one file each: ``python -m benchmarks.NAME``."""
