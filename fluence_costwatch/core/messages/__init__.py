"""What people get to read, and how it reaches them: messages, digests, routes, the outbox (`design.md` 8)."""
