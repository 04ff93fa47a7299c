"""The named protocols that turn a Dataset into a Split, one file each."""

from tastemaker.data.splits.base import SplitRule
from tastemaker.registry import Registry

rules = Registry("tastemaker.data.splits", SplitRule, "split")  # type: ignore[type-abstract]
__getattr__ = rules.attribute
