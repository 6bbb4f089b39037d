"""Every cell becomes an MLflow run. Only the driver writes; the journal on disk comes first, the server second.

Nothing is imported here: the report needs `schema` and `server` alone, and must not wait for torch.
"""
