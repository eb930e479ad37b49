"""Weighted squared losses of all pairs: the objective, its single rows and its Gram matrices."""
