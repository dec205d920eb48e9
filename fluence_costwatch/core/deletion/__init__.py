"""Deletions: grounds, moments, guards, vetoes, proofs, savings (`design.md` 7)."""
