"""What makes a page of the book: figures, sentences, publishing, printing."""
