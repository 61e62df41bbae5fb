"""What the work costs, against peers in the same run; never part of the product."""
