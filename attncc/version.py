"""Which version of attncc this is."""

VERSION = "0.1.0"
