"""Numerics of pooled embeddings that both halves need: runners to evaluate them, the platform to show them."""
