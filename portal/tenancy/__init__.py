"""Tenancy: tenants, plans, workspaces and memberships. Says where somebody is and what they may do there.

Owns ``tenants``, ``plans``, ``workspaces``, ``tenant_memberships``, ``workspace_memberships``.
- A member of a workspace is a member of its tenant.
- Rights come from one map (``permissions``) of roles; views ask for a permission, never for a role.
- A workspace that is not there, is another tenant's, or has not got the person as a member: all the same 404.
- An admin of the tenant sees no files of a workspace without being its member.
"""
