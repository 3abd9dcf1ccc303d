"""Jobs that measure embeddings."""
