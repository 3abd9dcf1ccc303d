"""`sprachbund …`: one file per noun."""
