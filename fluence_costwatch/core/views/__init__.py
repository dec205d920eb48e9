"""What displays, commands and the JSON API show."""
