"""How a message looks in each kind of channel. Every layout takes hostile texts and shows them as texts."""
