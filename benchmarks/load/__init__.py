"""The service under load, from another process on the same machine: ``python -m benchmarks.load``."""
