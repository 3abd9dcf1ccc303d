"""Sprachbund's runners: they load models, apply interventions and evaluate embeddings."""
