"""Measurements: the full benchmark of all categories, and what single parts cost."""
