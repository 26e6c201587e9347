"""The paper's claims: evidence (this run's, the printed table's, drawn), the rules that judge it, verdicts, their power."""
