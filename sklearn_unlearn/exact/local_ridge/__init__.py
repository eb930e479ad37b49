"""Ridge regressions of items on their most similar items: SparseEASE."""
