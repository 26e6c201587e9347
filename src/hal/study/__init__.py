"""Tables and statistics: pure functions on what the cells wrote."""
