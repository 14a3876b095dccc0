"""How scores become weights: one file for each rule, with its reference and what each backend writes for it."""
