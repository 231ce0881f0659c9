"""Learning from pictures, and what converters make pictures of."""
