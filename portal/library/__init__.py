"""The pages and lists of a workspace's files: gallery, trash, bulk actions, folder pages."""
