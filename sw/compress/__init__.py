"""Compression: one file a method, and the pipeline that applies them."""

from .formats import Widths
from .pipeline import compress

__all__ = ["Widths", "compress"]
