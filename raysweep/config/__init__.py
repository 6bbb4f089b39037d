"""What an experiment is: its fields, presets, and which fields act."""
