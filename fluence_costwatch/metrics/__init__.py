"""The exposition for Prometheus: rendered once when something is new, served from memory when scraped."""
