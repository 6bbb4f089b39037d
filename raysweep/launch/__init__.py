"""One launch, from the pre-flight checks to the summary."""
