"""Stowage: a self-hosted, multi-tenant portal for file assets. ARCHITECTURE.md is the map."""
