"""What a cell leaves behind, typed: results, adapted labels, attention maps."""
