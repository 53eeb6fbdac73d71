"""The version of speechvq, where setup.cfg and the package both read it."""

VERSION = "0.1.0"
