"""The pages: a customer's wallet, the central bank's overview. Server-rendered; nothing from other hosts."""
