"""The ledger: from lists to charges, and what is uncertain (`design.md` 3.1, 3.2)."""
