"""Admin: the pages of a tenant and of all of a person's places, and what is made of several rooms at once.

Owns no table. Calls services only: opening a workspace means a row in tenancy, an account in quotas, a profile in
storage and a library in assets, all in one transaction; the frame of a page shows a little of each room.
"""
