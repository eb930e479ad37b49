"""Benchmarks, one command a file."""
