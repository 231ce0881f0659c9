"""Data of pictures, and what converters make pictures of."""
