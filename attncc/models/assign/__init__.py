"""Finding the plan of a model: what heads lose with each pattern, what that saves, and the best within a budget."""
