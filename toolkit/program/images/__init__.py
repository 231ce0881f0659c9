"""Programs that take pictures, and what converters make pictures of."""
