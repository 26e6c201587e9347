"""What people see: tables, figures and the report, from the results that are there."""
