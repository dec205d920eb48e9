"""The web server: metrics, health and the page. It only reads, and it answers from memory."""
