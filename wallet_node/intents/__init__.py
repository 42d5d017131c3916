"""What can be asked for, and what it moves: from whom, to whom, how much, until when."""
