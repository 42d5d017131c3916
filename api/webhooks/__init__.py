"""Webhooks: what machines are told, by the Standard Webhooks specification (standardwebhooks.com)."""
