"""Reports on pictures, and what converters make pictures of."""
