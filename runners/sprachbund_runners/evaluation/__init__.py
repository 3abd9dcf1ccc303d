"""Measures on embeddings: arrays in, numbers out. No SQL, jobs, files or torch."""
