"""What the documentation says is tried out here: commands, outputs, worked examples, tables and links."""
