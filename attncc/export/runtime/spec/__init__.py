"""A pattern as its operator wants it; the files of patterns stay behind."""
