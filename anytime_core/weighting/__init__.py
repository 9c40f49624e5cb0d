"""Ways to weigh the losses of the exits."""
