"""Who may ask: API keys with their scopes, customers, and customers' sessions on the pages."""
