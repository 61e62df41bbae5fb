"""Web: what every page and every answer has in common. Owns no table.

- Every route carries exactly one access mark (``access``); a process with an unmarked route does not start.
- ``/v1`` and ``/tus`` speak JSON and answer every error as problem+json (``problems``); pages answer with a page.
- A signed-in browser must send the CSRF token with whatever changes something; a bearer token needs none, and a
  request that carries one never looks at cookies.
- JSON is read, written and documented by one decorator (``openapi.operation``).
- No unexpected error is shown: it is logged under the request's id, and the id is the code to quote.
"""
