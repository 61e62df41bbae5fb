"""What a file's bytes are and what the scanner says of them; the decision that follows."""
