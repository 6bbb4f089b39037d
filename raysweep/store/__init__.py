"""Products by content: local folders and URLs, leases, holders."""
