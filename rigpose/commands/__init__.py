"""The commands of rigpose: one module per group, each function thin over one layer."""
