"""Reports: what was measured, as tables, plots and pages. Reads the library and bench files; never measures."""
