"""Networks compared on the same splits: k-fold, or one video left out at a time."""
