"""Models as files: architectures, fingerprints, vectors that were made elsewhere."""
