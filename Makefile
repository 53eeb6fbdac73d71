# Shortcuts for those who have make; the scripts are the real thing.
.PHONY: mini test
mini: ; ./egs/mini/run.sh
test: ; ./tests/run.sh
