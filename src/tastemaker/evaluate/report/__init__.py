"""Results, training curves and examples -> one HTML page that needs nothing but itself."""

from __future__ import annotations

from tastemaker.evaluate.report.page import Curve, Example, Suggestion, render_report

__all__ = ["Curve", "Example", "Suggestion", "render_report"]
