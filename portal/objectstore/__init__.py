"""The only S3 code: bucket, client, presigning, multipart, copy, listing, keys. Knows no tenant."""
