"""What each kind of stage computes."""
