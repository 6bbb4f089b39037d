"""One launch, from the checks before training to the summary."""
