"""What people are told: a feed, e-mails and short messages, in their language."""
