"""The words every other package shares. Knows no models, no ray, no mlflow."""
