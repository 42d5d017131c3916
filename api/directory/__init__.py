"""The alias directory of the central bank: whom a phone number, an e-mail address or a handle pays."""
