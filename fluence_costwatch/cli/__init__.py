"""The command line: it parses, asks the program, and shows the answer. It decides nothing."""
