"""The pages: a customer's wallet, and the central bank's overview. Server-rendered; nothing from other hosts."""
