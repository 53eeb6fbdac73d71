"""One module per verb of the command line; none imports another."""
