"""Filters of the stream: causal, one frame set at a time. Those of files, which look both ways: `filters`."""
