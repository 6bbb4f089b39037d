"""Helpers that every other package uses: errors, text, keys, random numbers. Imports no models, ray or mlflow."""
