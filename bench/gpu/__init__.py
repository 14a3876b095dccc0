"""The bench on a GPU: calls, peers, what they will take, and pieces of a few minutes that go on where one ended."""
