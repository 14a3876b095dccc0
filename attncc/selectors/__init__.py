"""How units are scored for selection: one file for each score, its device form and its plain float64 form together."""
