"""Stowage: a self-hosted, multi-tenant portal for file assets. ARCHITECTURE.md is the map."""

__version__ = "0.1.0"
