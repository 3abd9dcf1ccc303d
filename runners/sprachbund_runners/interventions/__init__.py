"""Edits of activations: what they are, which units they touch, and how they are applied."""
