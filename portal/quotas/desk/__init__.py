"""The quota desk's doors: pages and JSON for tenant admins and operators, and a member's request for more space."""
