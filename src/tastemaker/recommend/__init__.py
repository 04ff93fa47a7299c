"""A retriever, a ranker and a catalogue -> recommendations, scores and reasons by outside ids; saved and loaded."""

from __future__ import annotations

from tastemaker.recommend.asked import UnknownIdWarning
from tastemaker.recommend.batch import Batch
from tastemaker.recommend.explain import Evidence, Explanation
from tastemaker.recommend.lists import Answer
from tastemaker.recommend.recommender import Recommender

__all__ = ["Answer", "Batch", "Evidence", "Explanation", "Recommender", "UnknownIdWarning"]
