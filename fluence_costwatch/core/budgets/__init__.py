"""Budgets, forecasts and how long a balance lasts (`design.md` 5)."""
