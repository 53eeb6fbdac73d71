"""Benchmarks: one module a subcommand of `speechvq bench`."""
