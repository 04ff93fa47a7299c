"""Other people's programs -> the same figures as ours: each in an environment of its own, judged by our own code.

``python -m benchmarks.peers NAME`` makes the environment when it is first asked for (pinned by
``requirements/NAME.txt``, kept under ``.envs``), runs ``programs/run_NAME.py`` there and prints one line of JSON.
"""

from __future__ import annotations

from benchmarks.peers.environment import PeerError
from benchmarks.peers.measure import NAMES, Settings, measured, processed, ranked, seconds_to

__all__ = ["NAMES", "PeerError", "Settings", "measured", "processed", "ranked", "seconds_to"]
