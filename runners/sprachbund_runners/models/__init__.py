"""Loading models, batching texts, and reading embeddings and unit responses."""
