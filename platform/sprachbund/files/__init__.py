"""Bulk in content-addressed files."""
