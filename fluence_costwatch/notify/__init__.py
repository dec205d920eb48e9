"""Telling people: messages laid out for each channel and handed over, once, to Apprise, mail servers and Alertmanager."""
