"""The page that `speechvq demo` opens: hear what a model does, see why, and call it over HTTP."""
