"""Co-occurrence counts, similarities and their corrections: ItemKNN."""
