"""The evaluations behind `speechvq evaluate`: data in, one dictionary of results out, and its page."""
