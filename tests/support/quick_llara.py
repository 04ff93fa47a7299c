"""Settings by which LLaRA tunes on the made-up films in a second, in each of its readings."""

TIMELINE = {"content": "hybrid", "epochs": 4, "batch_positions": 256, "text_size": 4, "validate_cases": 8}
CHOICE = {"mode": "faithful", "candidates": 6, "max_steps": 3, "batch_rows": 4, "accumulate": 1, "validate_cases": 4}
