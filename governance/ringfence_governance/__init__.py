"""Who may read what, and the only door to storage.

Everything that reads or writes a store goes through this package: labels and
subjects, the policy snapshot that Casbin decides with, grants, the catalog,
keys, seals, the door itself, lineage and the audit log.
"""
