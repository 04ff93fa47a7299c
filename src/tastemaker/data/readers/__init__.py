"""The file formats tastemaker reads, one file each."""

from tastemaker.data.readers.base import Reader
from tastemaker.registry import Registry

readers = Registry("tastemaker.data.readers", Reader, "dataset or format")  # type: ignore[type-abstract]
__getattr__ = readers.attribute
