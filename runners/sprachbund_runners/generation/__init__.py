"""What a model writes: sampling, decoding with a cache, language identification, repetition, translation."""
