"""What customers have authorised: credentials, mandates, and the proof with a payment."""
