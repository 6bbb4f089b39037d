"""Results from MLflow: loading, verification, aggregation and statistical tests."""
