"""What is done to files that somebody has chosen in the gallery: moved, put into the trash, and both undone."""
