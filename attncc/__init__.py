"""attncc: sparse attention patterns, compiled."""
