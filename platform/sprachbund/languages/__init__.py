"""Languages: the table of codes, what models were trained on, what the identifier knows."""
