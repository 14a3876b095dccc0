"""What was tuned, kept: keys, entries, trials and the database that holds them."""
