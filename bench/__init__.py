"""Side-by-side measurements of attncc and of what people use today; `python -m bench.run` or pytest-benchmark."""
