"""What speech and units are measured by: numpy and numba, no torch."""
