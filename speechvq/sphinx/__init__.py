"""English phones and words in recordings, by pocketsphinx and its bundled model (extra `align`)."""
